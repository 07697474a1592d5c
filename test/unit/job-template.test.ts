import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtInTemplates, findBuiltInTemplate } from '../../shared/job/built-in-templates.ts'
import { MAX_TEMPLATE, parseTemplate, renderTemplate } from '../../shared/job/template.ts'

const SCHEMA = '{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}'

function aTemplate(text: string) {
  const parsed = parseTemplate(text, 'mine')
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.problem)
  return parsed.template
}

function rendered(text: string, values: Record<string, string>, model: string | undefined = undefined) {
  return renderTemplate(aTemplate(text), { model, values: new Map(Object.entries(values)) })
}

test('template: all its parts become one request', () => {
  const text = `---\n# a comment\nmodel: "gpt-x"\nmax_completion_tokens: 50\n---\n\n# System\nBe brief.\n\n# User\n## {{ name }}\n{{text}}\n\n# Schema\n\`\`\`json\n${SCHEMA}\n\`\`\`\n`
  assert.deepEqual(rendered(text, { name: 'a.md', text: 'T' }), {
    ok: true,
    body: {
      model: 'gpt-x',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: '## a.md\nT' },
      ],
      max_completion_tokens: 50,
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'mine', strict: true, schema: JSON.parse(SCHEMA) },
      },
    },
  })
})

test('template: text without sections is the user message, and the model of the caller comes first', () => {
  const body = { model: 'b', messages: [{ role: 'user', content: 'Say {{ T' }] }
  assert.deepEqual(rendered('---\r\nmodel: a\r\n---\r\nSay \\{{ {{text}}\r\n', { text: 'T' }, 'b'), { ok: true, body })
})

test('template: a value is inserted once, and what looks like a variable or a pattern in it is text', () => {
  const text = '{{name}} $& # User \\{{'
  assert.deepEqual(rendered('{{text}}|{{name}}', { text, name: '{{text}}' }), {
    ok: true,
    body: { messages: [{ role: 'user', content: `${text}|{{text}}` }] },
  })
})

test('template: a variable without a value is an error that names it, also if its name is that of an object member', () => {
  assert.deepEqual(rendered('{{text}} {{Order No}} {{constructor}}', { text: '' }), {
    ok: false,
    problem: 'the template mine needs {{Order No}}, {{constructor}}, which has no value here',
  })
})

test('template: the built-in ones render a document', () => {
  assert.deepEqual(builtInTemplates, ['summarize', 'extract'])
  for (const name of builtInTemplates) {
    const template = findBuiltInTemplate(name)
    assert.ok(template)
    assert.ok(
      renderTemplate(template, {
        model: 'm',
        values: new Map([
          ['name', 'n'],
          ['text', 't'],
        ]),
      }).ok,
    )
  }
  assert.equal(findBuiltInTemplate('constructor'), undefined)
})

const WRONG = {
  'is empty': ['', /no text for the user message/],
  'has a head without an end': ['---\nmodel: a\n', /line 1: this --- has no second one/],
  'has an unknown key in its head': ['---\n\nmodle: a\n---\nx', /line 3: expected one of model, strict/],
  'has a key twice': ['---\nmodel: a\nmodel: b\n---\nx', /line 3: model is there twice/],
  'has a cap that is no number': ['---\nmax_tokens: many\n---\nx', /line 2: max_tokens must be a whole number/],
  'has two caps': ['---\nmax_tokens: 1\nmax_completion_tokens: 2\n---\nx', /give one of them/],
  'has a model without a value': ['---\nmodel:\n---\nx', /line 2: model has no value/],
  'has a wrong value of strict': ['---\nstrict: yes\n---\nx', /line 2: strict must be/],
  'has a section twice': ['# User\nx\n# user\ny', /line 3: # user is there twice/],
  'has text before its sections': ['x\n# User\ny', /line 1: there is text before/],
  'has a variable without an end': ['# User\nx\n{{text', /line 3 of the template: \{\{ has no \}\}/],
  'has a variable without a name': ['# User\n{{ }}', /line 2 of the template: the name of a variable/],
  'has a schema that is no JSON': ['# User\nx\n# Schema\n{', /its schema is not JSON/],
  'has a schema that is no object': ['# User\nx\n# Schema\n[]', /"type": "object"/],
  'has a schema that Azure OpenAI refuses': [
    '# User\nx\n# Schema\n{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"}}},"required":["a"],"additionalProperties":false}',
    /needs "additionalProperties": false at a/,
  ],
  'has a property that is not required': [
    '# User\nx\n# Schema\n{"type":"object","properties":{"a":{}},"additionalProperties":false}',
    /must list "a" as "required"/,
  ],
  'has a schema nested beyond the limit': [`# User\nx\n# Schema\n${'['.repeat(100)}`, /nested too deeply/],
  'is too long': ['x'.repeat(MAX_TEMPLATE + 1), /more than 1048576 characters/],
} as const

for (const [what, [text, problem]] of Object.entries(WRONG)) {
  test(`template: one that ${what} is refused, and the error says where`, () => {
    const parsed = parseTemplate(text, 'mine')
    assert.equal(parsed.ok, false)
    assert.match(parsed.ok ? '' : parsed.problem, problem)
  })
}

test('template: a schema that is not strict may leave properties open', () => {
  assert.equal(aTemplate('---\nstrict: false\n---\n# User\nx\n# Schema\n{"type":"object"}').schema?.strict, false)
})

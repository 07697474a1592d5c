import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cutToTokens, estimateTokens } from '../../local/azure-openai/tokens.ts'
import { pickSentences, summarise } from '../../local/summarise.ts'

const README = `# Kettle

[![build](https://example.com/badge.svg)](https://example.com)

Kettle boils water for tea. A kettle that boils water twice
wastes power, so Kettle remembers when the water was hot.

- [Guide](docs/guide.md)
- [Licence](LICENSE)

\`\`\`sh
kettle boil water. kettle boil water. kettle boil water.
\`\`\`

| power | time |
|---|---|
| 1 kW | 4 minutes of water on the boil. |

Please open an issue for anything else.
`

test('code, badges, tables, headings and lists of links are passed over', () => {
  const summary = summarise(README)
  assert.match(summary, /^Kettle boils water for tea\./)
  assert.doesNotMatch(summary, /badge|Guide|kettle boil water\.|kW|#/)
})

test('a sentence that spans lines is printed on one', () => {
  assert.match(summarise(README), /A kettle that boils water twice wastes power, so Kettle remembers/)
})

test('the instruction in front of the document is not part of it', () => {
  const summary = summarise('Summarise this in two sentences: The bridge carries prompts over the water at night.')
  assert.equal(summary, 'The bridge carries prompts over the water at night.')
})

test('the summary of a text without a sentence is its beginning', () => {
  assert.equal(summarise('hello there'), 'hello there')
  assert.equal(summarise(''), '')
})

const line = fc.oneof(
  fc.lorem({ mode: 'sentences', maxCount: 4 }),
  fc.lorem({ maxCount: 12 }).map((words) => `- ${words}.`),
  fc.constantFrom(
    '',
    '```',
    '# Heading',
    '| a | b |',
    '[![x](y)](z)',
    '1. [link](url)',
    '> Quoted words stand in here.',
  ),
  fc.string({ maxLength: 60 }),
)

test('every sentence of a summary occurs in the document, in its order, and there are at most three', () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 40 }), (lines) => {
      const source = lines.join('\n')
      const flat = source.replaceAll(/\s+/g, ' ')
      const sentences = pickSentences(source)
      assert.ok(sentences.length <= 3)
      let from = 0
      for (const sentence of sentences) {
        const at = flat.indexOf(sentence, from)
        assert.notEqual(at, -1, `not in the source: ${sentence}`)
        from = at + sentence.length
      }
    }),
  )
})

test('a text is cut between characters, at most so many tokens long', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 50 }), (text, tokens) => {
      const cut = cutToTokens(text, tokens)
      assert.ok(text.startsWith(cut))
      assert.ok(estimateTokens(cut) <= tokens)
    }),
  )
})

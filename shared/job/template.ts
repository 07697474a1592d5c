import type { Job } from './job.ts'
import { capFields } from './output-cap.ts'
import { type ParsedSchema, parseSchema } from './template-schema.ts'

/** Text, or the name of a variable whose value stands there. */
type Piece = string | { readonly variable: string }

/** A prompt with variables, and how its answer looks. */
export interface Template {
  readonly name: string
  readonly system: readonly Piece[] | undefined
  readonly user: readonly Piece[]
  /** What a structured answer must match. */
  readonly schema: ParsedSchema | undefined
  /** Is asked if the caller names no model. */
  readonly model: string | undefined
  /** The output cap of each answer, by the field of the request that sets it. */
  readonly cap: Readonly<Record<string, number>>
  /** All variables, in the order of their first use. */
  readonly variables: readonly string[]
}

export type ParsedTemplate =
  | { readonly ok: true; readonly template: Template }
  /** `problem` says what is wrong and where; it never quotes a prompt. */
  | { readonly ok: false; readonly problem: string }

export type Rendered =
  | { readonly ok: true; readonly body: Job['body'] }
  | { readonly ok: false; readonly problem: string }

/** The longest template, in characters. */
export const MAX_TEMPLATE = 1024 * 1024
const MAX_VARIABLES = 100
const MAX_VARIABLE_NAME = 100

/**
 * Reads a template: Markdown with an optional head between `---` lines that has `model`, `max_completion_tokens` and
 * `strict`, and the sections `# System`, `# User` and `# Schema`. Text without such sections is the user's message.
 *
 * `{{name}}` is a variable, and `\{{` stands for two braces. The schema is JSON, in a code block or not.
 */
export function parseTemplate(text: string, name: string): ParsedTemplate {
  try {
    return { ok: true, template: readTemplate(text, name) }
  } catch (error) {
    if (!(error instanceof TemplateProblem)) throw error
    return { ok: false, problem: error.message }
  }
}

/**
 * Makes the body of a `/v1/chat/completions` request.
 *
 * A value is inserted as it is: variables in it are text. `model` replaces the template's own. Refuses a variable without a
 * value, and a request without a model unless `model` is null, which leaves the model to the worker.
 */
export function renderTemplate(
  { system, user, schema, cap, variables, ...own }: Template,
  { model, values }: { readonly model: string | undefined; readonly values: ReadonlyMap<string, string> },
): Rendered {
  const missing = variables.filter((variable) => !values.has(variable))
  if (missing.length > 0) {
    const names = missing.map((variable) => `{{${variable}}}`).join(', ')
    return { ok: false, problem: `the template ${own.name} needs ${names}, which has no value here` }
  }
  const fill = (pieces: readonly Piece[]) =>
    pieces.map((piece) => (typeof piece === 'string' ? piece : values.get(piece.variable))).join('')
  const asked = model ?? own.model
  const messages = [
    ...(system === undefined ? [] : [{ role: 'system', content: fill(system) }]),
    { role: 'user', content: fill(user) },
  ]
  return {
    ok: true,
    body: {
      ...(asked !== undefined && { model: asked }),
      messages,
      ...cap,
      ...(schema !== undefined && { response_format: { type: 'json_schema', json_schema: schema } }),
    },
  }
}

class TemplateProblem extends Error {
  override readonly name = 'TemplateProblem'
}

function readTemplate(text: string, name: string): Template {
  if (text.length > MAX_TEMPLATE) throw new TemplateProblem(`it has more than ${MAX_TEMPLATE} characters`)
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const { model, strict, cap, end } = readHead(lines)
  const { system, user, schema } = readSections(lines, end)
  if (user === undefined || user.text === '') throw new TemplateProblem('it has no text for the user message: # User')
  const parts = {
    system: system && (system.text === '' ? undefined : readPieces(system)),
    user: readPieces(user),
  }
  const variables = [...(parts.system ?? []), ...parts.user].flatMap((piece) =>
    typeof piece === 'string' ? [] : [piece.variable],
  )
  const parsed = schema && parseSchema(schema.text, { name, strict })
  if (parsed?.ok === false) throw new TemplateProblem(`its schema ${parsed.problem}`)
  const distinct = [...new Set(variables)]
  if (distinct.length > MAX_VARIABLES) throw new TemplateProblem(`it has more than ${MAX_VARIABLES} variables`)
  return { name, ...parts, schema: parsed?.schema, model, cap, variables: distinct }
}

interface Head {
  readonly model: string | undefined
  readonly strict: boolean
  readonly cap: Readonly<Record<string, number>>
  /** The index of the first line after it. */
  readonly end: number
}

const CAPS: readonly string[] = capFields.filter((field) => field !== 'max_output_tokens')
const HEAD_KEYS = ['model', 'strict', ...CAPS]

function readHead(lines: readonly string[]): Head {
  if (lines[0]?.trim() !== '---') return { model: undefined, strict: true, cap: {}, end: 0 }
  const close = lines.findIndex((line, at) => at > 0 && line.trim() === '---')
  if (close === -1) throw new TemplateProblem('line 1: this --- has no second one that ends the head')
  const values = new Map<string, { readonly value: string; readonly line: number }>()
  for (const [at, line] of lines.slice(1, close).entries()) {
    if (line.trim() === '' || line.trim().startsWith('#')) continue
    const [, key = '', value = ''] = /^\s*([\w-]+)\s*:(.*)$/.exec(line) ?? []
    const where = `line ${at + 2}`
    if (!HEAD_KEYS.includes(key))
      throw new TemplateProblem(`${where}: expected one of ${HEAD_KEYS.join(', ')}, then : and a value`)
    if (values.has(key)) throw new TemplateProblem(`${where}: ${key} is there twice`)
    values.set(key, { value: unquote(value.trim()), line: at + 2 })
  }
  const given = CAPS.flatMap((field) => {
    const found = values.get(field)
    return found === undefined ? [] : [[field, readCap(field, found)] as const]
  })
  if (given.length > 1) throw new TemplateProblem(`${CAPS.join(' and ')}: give one of them`)
  const model = values.get('model')
  if (model?.value === '') throw new TemplateProblem(`line ${model.line}: model has no value`)
  return {
    model: model?.value,
    strict: readStrict(values.get('strict')),
    cap: Object.fromEntries(given),
    end: close + 1,
  }
}

interface HeadValue {
  readonly value: string
  readonly line: number
}

function readCap(field: string, { value, line }: HeadValue): number {
  if (!/^[1-9]\d{0,8}$/.test(value))
    throw new TemplateProblem(`line ${line}: ${field} must be a whole number from 1 on`)
  return Number(value)
}

function readStrict(found: HeadValue | undefined): boolean {
  if (found === undefined || found.value === 'true') return true
  if (found.value === 'false') return false
  throw new TemplateProblem(`line ${found.line}: strict must be true or false`)
}

function unquote(value: string): string {
  return /^(["']).*\1$/.test(value) && value.length > 1 ? value.slice(1, -1) : value
}

interface Section {
  readonly text: string
  /** Where it begins, from 1. */
  readonly line: number
}

const SECTION = /^#\s+(system|user|schema)\s*$/i

function readSections(lines: readonly string[], from: number): { readonly [name: string]: Section | undefined } {
  const starts = lines.flatMap((line, at) => {
    const name = SECTION.exec(line)?.[1]?.toLowerCase()
    return at < from || name === undefined ? [] : [{ name, at }]
  })
  const twice = starts.find(({ name }, at) => starts.findIndex((each) => each.name === name) < at)
  if (twice !== undefined) throw new TemplateProblem(`line ${twice.at + 1}: # ${twice.name} is there twice`)
  const section = (start: number, end: number | undefined) => {
    return { text: lines.slice(start, end).join('\n').trim(), line: start + 1 }
  }
  const before = section(from, starts[0]?.at)
  if (starts.length === 0) return { user: before }
  if (before.text !== '') throw new TemplateProblem(`line ${before.line}: there is text before the first section`)
  return Object.fromEntries(starts.map(({ name, at }, index) => [name, section(at + 1, starts[index + 1]?.at)]))
}

const TOKEN = /\\\{\{|\{\{([^{}\n]*)\}\}|\{\{/g

function readPieces({ text, line }: Section): readonly Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const { 0: token, 1: inner, index } of text.matchAll(TOKEN)) {
    const where = `line ${line + text.slice(0, index).split('\n').length - 1} of the template`
    pieces.push(text.slice(end, index))
    end = index + token.length
    pieces.push(token.startsWith('\\') ? '{{' : { variable: readName(inner, where) })
  }
  return [...pieces, text.slice(end)].filter((piece) => piece !== '')
}

function readName(inner: string | undefined, where: string): string {
  if (inner === undefined) throw new TemplateProblem(`${where}: {{ has no }}; write \\{{ if it is text`)
  const name = inner.trim()
  if (name === '' || name.length > MAX_VARIABLE_NAME) {
    throw new TemplateProblem(`${where}: the name of a variable has 1 to ${MAX_VARIABLE_NAME} characters`)
  }
  return name
}

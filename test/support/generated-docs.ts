import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Argument, Command, Option } from 'commander'
import { z } from 'zod'
import { createProgram } from '../../cli/command-line.ts'
import { settingDescriptions } from '../../shared/config/descriptions.ts'
import { settings } from '../../shared/config/schema.ts'

const DOCS = join(import.meta.dirname, '../../docs')
const BEGIN = '<!-- generated: npm run docs -->\n'
const END = '<!-- end of the generated part -->\n'

const pages = { 'settings.md': settingsTable, 'cli.md': commandList } as const

/** The part of a page that is generated, as the code has it now. */
export function generatedPart(name: keyof typeof pages): string {
  return pages[name]()
}

/** The pages of docs with a generated part, each with that part as the code has it now. */
export function generatedDocs(): readonly { readonly path: string; readonly text: string }[] {
  return Object.entries(pages).map(([name, generate]) => {
    const path = join(DOCS, name)
    const [before = '', rest = ''] = readFileSync(path, 'utf8').split(BEGIN)
    const [, after = ''] = rest.split(END)
    return { path, text: `${before}${BEGIN}\n${generate()}${END}${after}` }
  })
}

function commandList(): string {
  return createProgram({}).commands.flatMap(leaves).map(describeCommand).join('')
}

/** A cell is one line, and a bar would end it. */
const table = (rows: readonly (readonly string[])[]) =>
  `${rows.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`).join('')}\n`
const heads = (...names: readonly string[]) => [names, names.map(() => '---')]

function settingsTable(): string {
  const rows = Object.entries(settings.shape).map(([name, schema]) => {
    const description = Object.entries(settingDescriptions).find(([described]) => described === name)?.[1]
    const values = description?.values ?? describeValues(schema)
    return [`\`${name}\``, describeDefault(schema, description?.absent), values, description?.meaning ?? '']
  })
  return table([...heads('setting', 'default', 'values', 'meaning'), ...rows])
}

function describeDefault(schema: z.ZodType, absent: string | undefined): string {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return `\`${schema.def.defaultValue}\``
  if (absent !== undefined) return absent
  return schema instanceof z.ZodOptional ? '–' : 'required'
}

function describeValues(schema: z.core.$ZodType): string {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return describeValues(schema.def.innerType)
  }
  if (schema instanceof z.ZodEnum) return schema.options.map((value) => `\`${value}\``).join(', ')
  if (schema instanceof z.ZodNumber) return describeRange(schema.minValue ?? 0, schema.maxValue ?? Infinity)
  return 'text'
}

function describeRange(min: number, max: number): string {
  return max < Number.MAX_SAFE_INTEGER ? `${min}–${max}` : `from ${min}`
}

/** A command and the names that lead to it. */
interface Leaf {
  readonly path: string
  readonly command: Command
}

function leaves(command: Command): readonly Leaf[] {
  const inner = command.commands.flatMap(leaves)
  if (inner.length === 0) return [{ path: command.name(), command }]
  return inner.map((leaf) => ({ ...leaf, path: `${command.name()} ${leaf.path}` }))
}

function describeCommand({ path, command }: Leaf): string {
  const usage = `\`\`\`\npromptbridge ${path} ${command.usage()}\n\`\`\`\n\n`
  return `## ${path}\n\n${sentence(command.description())}.\n\n${usage}${describeArguments(command)}${describeOptions(command)}`
}

function describeArguments({ registeredArguments }: Command): string {
  if (registeredArguments.length === 0) return ''
  const rows = registeredArguments.map((argument: Argument) => [`\`${argument.name()}\``, argument.description])
  return table([...heads('argument', 'meaning'), ...rows])
}

/** A cell holds one short sentence, so a longer description is below the table. */
const MAX_CELL = 120

function describeOptions({ options }: Command): string {
  const shown = options.filter(({ hidden }) => !hidden)
  if (shown.length === 0) return ''
  const rows = shown.map((option) => [`\`${option.flags}\``, `${option.description}${describeStart(option)}`] as const)
  const isLong = ([, text]: readonly [string, string]) => text.length > MAX_CELL
  const cells = rows.map((row) => [row[0], isLong(row) ? 'see below' : row[1]])
  const long = rows.filter(isLong).map(([flags, text]) => `${flags}: ${text}.\n\n`)
  return `${table([...heads('option', 'meaning'), ...cells])}${long.join('')}`
}

function describeStart({ defaultValue, defaultValueDescription }: Option): string {
  if (defaultValue === undefined || defaultValue === false) return ''
  return ` (default: \`${defaultValueDescription ?? defaultValue}\`)`
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`
}

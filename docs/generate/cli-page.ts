import type { Command, Option } from 'commander'
import { loadProgram } from '../../cli/command-line.ts'
import { table } from './table.ts'

/** A command that has no commands of its own, and the names that lead to it. */
export interface NamedCommand {
  readonly path: string
  readonly command: Command
}

/** A table of all commands, and one section for each. */
export async function cliParts(): Promise<ReadonlyMap<string, string>> {
  const commands = await allCommands()
  const rows = commands.map(({ path, command }) => [`[${path}](#${path.replaceAll(' ', '-')})`, command.description()])
  return new Map([
    ['list', table(['command', 'what it does'], rows)],
    ['commands', commands.map(describeCommand).join('\n')],
  ])
}

export async function allCommands(): Promise<readonly NamedCommand[]> {
  return (await loadProgram({})).commands.flatMap(leaves)
}

function leaves(command: Command): readonly NamedCommand[] {
  const inner = command.commands.flatMap(leaves)
  if (inner.length === 0) return [{ path: command.name(), command }]
  return inner.map((leaf) => ({ ...leaf, path: `${command.name()} ${leaf.path}` }))
}

function describeCommand({ path, command }: NamedCommand): string {
  const { examples, exitCodes } = helpEndingOf(command)
  const options = command.options.filter(({ hidden }) => !hidden)
  const parts = [
    `## ${path}\n`,
    `${capitalised(command.description())}.\n`,
    `\`\`\`text\npromptbridge ${path} ${command.usage()}\n\`\`\`\n`,
    table(
      ['argument', 'meaning'],
      command.registeredArguments.map((argument) => [`\`${argument.name()}\``, argument.description]),
    ),
    table(
      ['option', 'default', 'meaning'],
      options.map((option) => [`\`${option.flags}\``, ...optionCells(option)]),
    ),
    ...options.filter(isLong).map(({ flags, description }) => `\`${flags}\`: ${description}.\n`),
    `\`\`\`sh\n${examples.join('\n')}\n\`\`\`\n`,
    table(['exit code', 'meaning'], exitCodes),
  ]
  return parts.filter((part) => part !== '').join('\n')
}

/** The help has the default of a setting in its text, which the page has in a column. */
const DEFAULT = / \(default: ([^)]+)\)$/
/** A cell holds one short sentence, so a longer description is below the table. */
const MAX_CELL = 120

function isLong({ description }: Option): boolean {
  return description.length > MAX_CELL
}

function optionCells(option: Option): readonly [start: string, meaning: string] {
  const { description, defaultValue, defaultValueDescription } = option
  const [, said] = DEFAULT.exec(description) ?? []
  const start = defaultValue === undefined ? said : (defaultValueDescription ?? String(defaultValue))
  const isWord = start === undefined || (defaultValue === undefined && /[a-z]/.test(start))
  return [isWord ? (start ?? '–') : `\`${start}\``, isLong(option) ? 'see below' : description.replace(DEFAULT, '')]
}

export interface HelpEnding {
  /** Command lines, each with a comment. */
  readonly examples: readonly string[]
  readonly exitCodes: readonly (readonly [code: string, meaning: string])[]
}

/** Reads the end of a command's help as addHelpEnding writes it. */
export function helpEndingOf(command: Command): HelpEnding {
  let help = ''
  const writeOut = (text: string) => {
    help += text
  }
  command.configureOutput({ writeOut }).outputHelp()
  const [, examples = '', exitCodes = ''] = /\nExamples:\n([\s\S]+?)\n\nExit codes:\n([\s\S]+)$/.exec(help) ?? []
  return {
    examples: examples.split('\n').map((line) => line.trim()),
    exitCodes: [...exitCodes.matchAll(/^ {2}(\d+) +(.+)$/gm)].map(([, code = '', meaning = '']) => [code, meaning]),
  }
}

function capitalised(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`
}

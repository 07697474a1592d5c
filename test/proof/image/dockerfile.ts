/** Something to run: by a shell, or as it stands. */
export type Command =
  | { readonly form: 'shell'; readonly line: string }
  | { readonly form: 'exec'; readonly words: readonly string[] }

export type Instruction =
  | { readonly kind: 'WORKDIR'; readonly path: string }
  | {
      readonly kind: 'COPY'
      readonly from: string | undefined
      readonly sources: readonly string[]
      readonly to: string
    }
  | { readonly kind: 'RUN'; readonly command: Command }
  | { readonly kind: 'USER'; readonly uid: number; readonly gid: number }
  | { readonly kind: 'ENV' | 'LABEL'; readonly pairs: Readonly<Record<string, string>> }
  | { readonly kind: 'ENTRYPOINT' | 'CMD'; readonly words: readonly string[] }
  | { readonly kind: 'EXPOSE' }

export interface Stage {
  /** The image it starts from. */
  readonly base: string
  readonly name: string | undefined
  readonly instructions: readonly Instruction[]
}

/**
 * Reads a Dockerfile, as far as ours go.
 *
 * Throws for whatever it does not know: what is not read here would not be checked.
 */
export function parseDockerfile(text: string): Stage[] {
  const args = new Map<string, string>()
  const stages: { base: string; name: string | undefined; instructions: Instruction[] }[] = []
  for (const line of logicalLines(text)) {
    const [, keyword = '', rest = ''] = /^([A-Z]+)\s+(.+)$/.exec(line) ?? []
    const stage = stages.at(-1)
    if (keyword === 'ARG' && stage === undefined) {
      const [, name = '', value = ''] = matched(/^(\w+)=(\S+)$/, rest, line)
      args.set(name, value)
    } else if (keyword === 'FROM') {
      const [, image = '', name] = matched(/^(\S+)(?: AS (\w+))?$/, rest, line)
      stages.push({ base: substitute(image, args), name, instructions: [] })
    } else if (stage === undefined) {
      throw new Error(`not known before the first FROM: ${line}`)
    } else {
      stage.instructions.push(readInstruction(keyword, rest, line))
    }
  }
  return stages
}

function readInstruction(kind: string, rest: string, line: string): Instruction {
  switch (kind) {
    case 'WORKDIR':
      return { kind, path: rest }
    case 'COPY':
      return readCopy(rest, line)
    case 'RUN':
      return {
        kind,
        command: rest.startsWith('[') ? { form: 'exec', words: words(rest) } : { form: 'shell', line: rest },
      }
    case 'USER': {
      const [, uid, gid] = matched(/^(\d+):(\d+)$/, rest, line)
      return { kind, uid: Number(uid), gid: Number(gid) }
    }
    case 'ENV':
    case 'LABEL':
      return {
        kind,
        pairs: Object.fromEntries(
          rest.split(/\s+/).map((pair) => matched(/^([\w.]+)=([^"'$]+)$/, pair, line).slice(1)),
        ),
      }
    case 'ENTRYPOINT':
    case 'CMD':
      return { kind, words: words(rest) }
    case 'EXPOSE':
      return { kind }
    default:
      throw new Error(`not known: ${line}`)
  }
}

function readCopy(rest: string, line: string): Instruction {
  const [, from, paths = ''] = matched(/^(?:--from=(\w+) )?([^-].*)$/, rest, line)
  const sources = paths.split(/\s+/)
  const to = sources.pop()
  if (to === undefined || sources.length === 0) throw new Error(`copies nothing: ${line}`)
  return { kind: 'COPY', from, sources, to }
}

/** Without comments, and with the lines put together that a backslash parts. */
function logicalLines(text: string): string[] {
  const lines = text.split('\n').filter((line) => !/^\s*(#|$)/.test(line))
  return lines
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .map((line) => line.trim())
}

function matched(pattern: RegExp, text: string, line: string): RegExpExecArray {
  const found = pattern.exec(text)
  if (found === null) throw new Error(`not known: ${line}`)
  return found
}

function substitute(image: string, args: ReadonlyMap<string, string>): string {
  return image.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = args.get(name)
    if (value === undefined) throw new Error(`no ARG gives ${name}`)
    return value
  })
}

function words(json: string): string[] {
  const value: unknown = JSON.parse(json)
  if (!Array.isArray(value) || !value.every((word) => typeof word === 'string')) throw new Error(`not a list: ${json}`)
  return value
}

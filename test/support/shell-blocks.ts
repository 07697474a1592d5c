/** The `sh` blocks of a Markdown page, oldest first, their continued lines joined and what a here-document holds left out. */
export function shellBlocks(markdown: string): readonly string[] {
  return [...markdown.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) =>
    block.replaceAll(/\\\n\s*/g, '').replaceAll(/^(.*)<<'?(\w+)'?\n[\s\S]*?^\2$/gm, '$1'),
  )
}

/** The variables that a piece of shell sets to text of its own, and to others of them. */
export function literals(shell: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  for (const [, name = '', quoted, plain = ''] of shell.matchAll(/^([A-Z_]+)=(?:"([^"\n]*)"|([^"'$\s]+))$/gm)) {
    values.set(name, expand(quoted ?? plain, values))
  }
  return values
}

/** What is unknown beforehand: what a command will print. */
const UNKNOWN = 'unknown'

function expand(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$\{?(\w+)\}?/g, (_, name: string) => values.get(name) ?? UNKNOWN)
}

/** The `gcloud` commands in a piece of shell, those within `$(…)` too, with the values of the variables that are known. */
export function gcloudCommands(shell: string, values: ReadonlyMap<string, string> = new Map()): readonly string[] {
  const found: string[] = []
  let rest = shell
  // From the innermost outwards.
  for (;;) {
    const [whole, inner] = /\$\(([^()]*(?:\([^()$]*\)[^()]*)*)\)/.exec(rest) ?? []
    if (whole === undefined || inner === undefined) break
    found.push(...gcloudCommands(inner, values))
    rest = rest.replace(whole, UNKNOWN)
  }
  for (const line of rest.split('\n')) {
    const [, command] = /^\s*(gcloud [^|<>]*?)\s*(?:[|<>].*)?$/.exec(expand(line, values)) ?? []
    if (command !== undefined) found.push(command)
  }
  return found
}

/** The variables a piece of shell reads before it sets them, each once, given those that are set already. */
export function unsetVariables(shell: string, known: ReadonlySet<string>): readonly string[] {
  const set = new Set(known)
  const unset = new Set<string>()
  for (const line of shell.split('\n')) {
    for (const [, name = ''] of line.matchAll(/\b(?:for|read -r) ((?:[A-Z_]+ ?)+)/g)) {
      for (const variable of name.trim().split(' ')) set.add(variable)
    }
    for (const [, name = ''] of line.matchAll(/\$\{?([A-Z_]+)\b/g)) if (!set.has(name)) unset.add(name)
    for (const [, name = ''] of line.matchAll(/^\s*([A-Z_]+)=/g)) set.add(name)
  }
  return [...unset]
}

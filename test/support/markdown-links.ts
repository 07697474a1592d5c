import { posix } from 'node:path'

/** Reads the text of a file by its path from the root of the repository. */
export type ReadFile = (path: string) => string

interface Link {
  /** Counts from 1. */
  readonly line: number
  /** Undefined: a reference that the page does not define. */
  readonly target: string | undefined
  /** As the page has it, for a message. */
  readonly written: string
}

const FENCED = /^([ >]*)(`{3,}|~{3,})[^\n]*\n[\s\S]*?^[ >]*\2[`~]*[ \t]*$/gm
const COMMENT = /<!--[\s\S]*?-->/g
const CODE = /(`+)(?!`)[\s\S]*?[^`]\1(?!`)/g
const DEFINITION = /^ {0,3}\[([^\]\n]+)\]:[ \t]*<?([^\s>]+)>?.*$/gm
const INLINE = /\]\(\s*(?:<([^>\n]*)>|([^\s()]*(?:\([^\s()]*\)[^\s()]*)*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/g
const REFERENCE = /\[([^[\]\n]+)\]\[([^[\]\n]*)\]/g
const SHORTCUT = /(?<!\])\[([^[\]\n]+)\](?![[(:])/g
const HTML = /<(?:a|img)\b[^>]*?\b(?:href|src)="([^"]*)"/g
const ANCHOR = /<a\b[^>]*?\b(?:id|name)="([^"]*)"/g

/** Every line stays a line, so that a link is reported where it is. */
const blank = (text: string) => text.replaceAll(/[^\n]/g, ' ')
const proseOf = (markdown: string) => markdown.replace(FENCED, blank).replace(COMMENT, blank)
const labelOf = (name: string) => name.trim().toLowerCase().replaceAll(/\s+/g, ' ')

/** All links and images of a page: inline, by reference, and in HTML. Code holds none. */
export function linksIn(markdown: string): readonly Link[] {
  const text = proseOf(markdown).replace(CODE, (code) => code.replaceAll(/[^\n]/g, 'x'))
  const definitions = new Map([...text.matchAll(DEFINITION)].map(([, name = '', to]) => [labelOf(name), to]))
  const at = (index: number) => text.slice(0, index).split('\n').length
  const found = (matches: Iterable<RegExpExecArray>, targetOf: (match: RegExpExecArray) => string | undefined) =>
    [...matches].map((match) => ({ line: at(match.index), target: targetOf(match), written: match[0].trim() }))
  const isDefined = ([, name = '']: RegExpExecArray) => definitions.has(labelOf(name))
  return [
    ...found(text.matchAll(INLINE), ([, pointed, plain = '']) => pointed ?? plain),
    ...found(text.matchAll(REFERENCE), ([, said = '', name]) => definitions.get(labelOf(name || said))),
    ...found([...text.matchAll(SHORTCUT)].filter(isDefined), ([, name = '']) => definitions.get(labelOf(name))),
    ...found(text.matchAll(HTML), ([, target = '']) => target),
    ...found(text.matchAll(DEFINITION), ([, , target]) => target),
  ]
}

/** The anchors that GitHub makes of the headings of a page, and those that the page sets itself. */
export function anchorsIn(markdown: string): ReadonlySet<string> {
  const prose = proseOf(markdown)
  const anchors = new Set([...prose.matchAll(ANCHOR)].map(([, name = '']) => name))
  const seen = new Map<string, number>()
  for (const [, title = ''] of prose.matchAll(/^ {0,3}#{1,6}[ \t]+(.+?)(?:[ \t]+#+)?[ \t]*$/gm)) {
    const slug = slugOf(title)
    const times = seen.get(slug) ?? 0
    seen.set(slug, times + 1)
    anchors.add(times === 0 ? slug : `${slug}-${times}`)
  }
  return anchors
}

function slugOf(title: string): string {
  const text = title.replaceAll(/!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])/g, '$1').toLowerCase()
  return text.replaceAll(/[^\p{L}\p{N}\p{M}_\- ]/gu, '').replaceAll(' ', '-')
}

/** The links of a page that lead nowhere, each as `path:line: link: why`. `files`: all that a clone of the repository has. */
export function brokenLinks(path: string, files: readonly string[], read: ReadFile): readonly string[] {
  return linksIn(read(path)).flatMap(({ line, target, written }) => {
    const problem = target === undefined ? 'the reference is not defined' : findProblem(target, path, files, read)
    return problem === undefined ? [] : [`${path}:${line}: ${written}: ${problem}`]
  })
}

/** The file or folder of this repository that a target leads to; undefined: elsewhere. */
export function destinationOf(target: string, from: string): { path: string; anchor: string } | undefined {
  if (/^([a-z][a-z\d+.-]*:|\/\/)/i.test(target)) return undefined
  const [file = '', anchor = ''] = target.split('#').map(decode)
  if (file === '') return { path: from, anchor }
  const path = file.startsWith('/') ? file.slice(1) : posix.join(posix.dirname(from), file)
  return { path: posix.normalize(path).replace(/\/$/, ''), anchor }
}

/** What is not encoded as it should be leads nowhere. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function findProblem(target: string, from: string, files: readonly string[], read: ReadFile): string | undefined {
  const to = destinationOf(target, from)
  if (to === undefined) return undefined
  const isFolder = to.path === '.' || files.some((file) => file.startsWith(`${to.path}/`))
  const page = isFolder ? posix.join(to.path, 'README.md') : to.path
  if (!isFolder && !files.includes(page)) return `there is no ${to.path}`
  if (!target.includes('#')) return undefined
  if (!files.includes(page)) return `${to.path} has no headings`
  return hasAnchor(page, to.anchor, read(page)) ? undefined : `${page} has no heading for #${to.anchor}`
}

/** In a page a heading, in other files a line. */
function hasAnchor(path: string, anchor: string, text: string): boolean {
  if (path.endsWith('.md')) return anchorsIn(text).has(anchor)
  const lines = /^L(\d+)(?:-L(\d+))?$/.exec(anchor)
  return lines !== null && Number(lines[2] ?? lines[1]) <= text.split('\n').length
}

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cliParts } from './cli-page.ts'
import { settingsParts } from './settings-page.ts'

const DOCS = join(import.meta.dirname, '..')
const PART = /<!-- generated (\w+): npm run docs -->\n[\s\S]*?<!-- end of the generated part -->\n/g

const partsOf: Readonly<Record<string, () => ReadonlyMap<string, string> | Promise<ReadonlyMap<string, string>>>> = {
  'settings.md': settingsParts,
  'cli.md': cliParts,
}

/** The pages that have generated parts, each as it is with these parts made again. Text between the parts is kept. */
export function generatedPages(): Promise<readonly Page[]> {
  return Promise.all(
    Object.entries(partsOf).map(async ([name, parts]) => {
      const path = join(DOCS, name)
      return { name, path, text: fillIn(readFileSync(path, 'utf8'), await parts()) }
    }),
  )
}

interface Page {
  readonly name: string
  readonly path: string
  readonly text: string
}

/** Replaces each generated part of a page. Throws unless the page has a place for every part, and for no other. */
export function fillIn(page: string, parts: ReadonlyMap<string, string>): string {
  const places = [...page.matchAll(PART)].map(([, name = '']) => name)
  const names = [...parts.keys()]
  if (places.toSorted().join() !== names.toSorted().join()) {
    throw new Error(`the page has places for ${places.join(', ')}, and the parts are ${names.join(', ')}`)
  }
  return page.replace(
    PART,
    (_, name: string) =>
      `<!-- generated ${name}: npm run docs -->\n\n${parts.get(name)}\n<!-- end of the generated part -->\n`,
  )
}

import type { SettledRecord } from '../../shared/job/record.ts'
import type { HeldDocument, HeldParts } from './held-parts.ts'
import type { Result } from './read-results.ts'

/** A part of a document that `--split` made several jobs of. */
export interface DocumentPart {
  readonly document: string
  /** From 1. */
  readonly n: number
  readonly of: number
}

/** The ids that makeLines gives to parts: `report.pdf#1/3@3fa1b2c4d5e6`. */
const PART_ID = /^(.*)#([1-9]\d{0,4})\/([1-9]\d{0,4})@[0-9a-f]{12}$/s
/** A long path is cut at its start. */
const CUT = '…'

/** Which part of which document a job is. Undefined for other jobs. The id decides, because metadata can be given by hand. */
export function partOf({ id, metadata }: Pick<SettledRecord, 'id' | 'metadata'>): DocumentPart | undefined {
  const [, place, n, of] = PART_ID.exec(id) ?? []
  if (place === undefined || metadata['part'] !== `${n}/${of}` || Number(n) > Number(of)) return undefined
  const { document } = metadata
  const isCut = place.startsWith(CUT) && document?.endsWith(place.slice(CUT.length))
  return { document: isCut && document !== undefined ? document : place, n: Number(n), of: Number(of) }
}

/** What is written next: a result by itself, or the parts of a document together. */
export type Grouped =
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'document'; readonly document: HeldDocument }

/**
 * Gives a document when all its parts were read, and at the end those of which parts are missing. Everything else is given as it
 * is read, and so is a part of which `textOf` has no text.
 */
export async function* groupParts(
  results: AsyncIterable<Result>,
  textOf: (result: Result) => string | undefined,
): AsyncGenerator<Grouped> {
  using stack = new DisposableStack()
  let held: HeldParts | undefined
  for await (const result of results) {
    const part = partOf(result.record)
    const text = part && textOf(result)
    if (text === undefined) yield { kind: 'result', result }
    if (part === undefined) continue
    held ??= stack.use((await import('./held-parts.ts')).openHeldParts())
    const document = held.add(part, text)
    if (document === undefined) continue
    yield { kind: 'document', document }
    held.forget(document)
  }
  for (const document of held?.rest() ?? []) yield { kind: 'document', document }
}

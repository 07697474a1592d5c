import type { Database, DocumentPage, NamedFields } from './database.ts'
import type { Page } from './queries.ts'

/** The approximate size of a page in bytes. */
const PAGE_BYTES = 1024 * 1024
/** Before the first page, each document is assumed to have a mebibyte. */
const FIRST_PAGE = 20
const MAX_PAGE = 500
/** The next documents may be larger than those seen. */
const MAX_GROWTH = 4

export interface Walk extends Pick<Page, 'equal' | 'mask' | 'after'> {
  /** No page has more documents. */
  readonly maxPage?: number
}

/**
 * Yields every matching document of a collection in the order of their names. The number of documents in a page depends on
 * their size. Holds one page at a time. Rejects with StoreError.
 */
export async function* walkPages(
  database: Pick<Database, 'page'>,
  collection: string,
  { maxPage = MAX_PAGE, ...walk }: Walk,
): AsyncGenerator<readonly NamedFields[]> {
  let { after } = walk
  let limit = Math.min(FIRST_PAGE, maxPage)
  let isLast = false
  while (!isLast) {
    const page = await database.page(collection, { ...walk, after, limit, maxBytes: MAX_GROWTH * PAGE_BYTES })
    if (page.documents.length > 0) yield page.documents
    after = page.documents.at(-1)?.name
    isLast = page.isLast || after === undefined
    limit = Math.min(nextLimit(limit, page), maxPage)
  }
}

function nextLimit(limit: number, { documents, bytes }: DocumentPage): number {
  const fitting = Math.floor((PAGE_BYTES * documents.length) / Math.max(bytes, 1))
  return Math.max(1, Math.min(fitting, limit * MAX_GROWTH, MAX_PAGE))
}

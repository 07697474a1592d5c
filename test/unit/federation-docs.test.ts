import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AADSTS } from '../../shared/identity/entra-table.ts'
import type { FailureNature } from '../../shared/identity/token-error.ts'
import { tokenLegs } from '../../shared/job/token-leg.ts'

const docs = readFileSync(join(import.meta.dirname, '../../docs/federation.md'), 'utf8')

const HEADINGS: Readonly<Record<FailureNature, string>> = {
  passing: 'It passes by itself',
  spreading: 'It may be spreading',
  stale: 'The ID token is stale',
  configuration: 'It needs a fix',
}

const section = (heading: string) => docs.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
const ascending = (numbers: Iterable<number>) => [...numbers].toSorted((a, b) => a - b)

for (const [nature, heading] of Object.entries(HEADINGS)) {
  test(`"${heading}" has a row for every number of the table that is ${nature}, and for no other`, () => {
    const rows = [...section(heading).matchAll(/^\| `AADSTS(\d+)` \| [^|]+ \| [^|]+ \|$/gm)]
    assert.deepEqual(
      ascending(rows.map(([, number]) => Number(number))),
      ascending([...AADSTS].filter(([, known]) => known.nature === nature).map(([number]) => number)),
    )
  })
}

test('no number stands outside the rows', () => {
  const numbers = [...docs.matchAll(/AADSTS(\d+)/g)].map(([, number]) => Number(number))
  assert.deepEqual(ascending(numbers), ascending(AADSTS.keys()))
})

test('every leg is named', () => {
  for (const leg of tokenLegs) assert.ok(docs.includes(`\`${leg}\``), leg)
})

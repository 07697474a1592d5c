import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { makeLines } from '../../cli/documents/make-lines.ts'
import { type DocumentPart, partOf } from '../../cli/results/document-parts.ts'
import { formats } from '../../cli/results/formats.ts'
import { openHeldParts } from '../../cli/results/held-parts.ts'
import type { Result } from '../../cli/results/read-results.ts'
import { writeFolder } from '../../cli/results/write-folder.ts'
import { writeResults } from '../../cli/results/write-results.ts'
import { findBuiltInTemplate } from '../../shared/job/built-in-templates.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import type { SettledRecord } from '../../shared/job/record.ts'
import { aDeadLetteredRecord, aSucceededRecord, sha256 } from '../support/job-builders.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const HASH = '3fa1b2c4d5e6'
const named = (place: string, part?: string, document = 'docs/report.pdf') => ({
  id: `${place}@${HASH}`,
  key: place,
  metadata: { document, ...(part !== undefined && { part }) },
})

function anAnswer(n: number, of: number, document = 'docs/report.pdf'): SettledRecord {
  return { ...aSucceededRecord, ...named(`${document}#${n}/${of}`, `${n}/${of}`, document) }
}
const aFailure = (n: number, of: number) =>
  aDeadLetteredRecord({
    ...named(`docs/report.pdf#${n}/${of}`, `${n}/${of}`),
    error: { kind: 'rejected', message: 'no' },
  })
const other = { ...aSucceededRecord, ...named('docs/note.md', undefined, 'docs/note.md') }

const reader = {
  readResult: async ({ id }: SettledRecord) =>
    JSON.stringify({ choices: [{ message: { content: `Answer to ${id.split('@')[0]}.` }, finish_reason: 'stop' }] }),
}
const listing = (...records: readonly SettledRecord[]) => records.map((record) => ({ record }))

async function asText(
  records: readonly SettledRecord[],
  more: { readonly failures?: { write(of: Result): Promise<void> } } = {},
) {
  const out = new PassThrough()
  const options = { format: formats.text.write, isGrouped: true, ...more }
  const [, written] = await Promise.all([writeResults(out, reader, listing(...records), options), text(out)])
  return written
}

async function inFolder(t: TestContext, records: readonly SettledRecord[]) {
  const folder = join(dirname(await aTemporaryFile(t)), 'answers')
  const failed: string[] = []
  const failures = { write: async ({ record }: Result) => void failed.push(record.id) }
  await writeFolder(folder, reader, listing(...records), { failures })
  const names = (await readdir(folder)).toSorted()
  const files = await Promise.all(
    names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const),
  )
  return { files: files.map(([name, content]) => [name.replace(/-[0-9a-f]{10}\.txt$/, ''), content]), failed }
}

const WHOLE = [1, 2, 3].map((n) => `--- part ${n} of 3 ---\n\nAnswer to docs/report.pdf#${n}/3.\n\n`).join('')
const SHUFFLED = [anAnswer(3, 3), other, anAnswer(1, 3), anAnswer(2, 3)]

describe('results of a document in parts', () => {
  test('--output-dir: one file has the parts in order, whatever order they are read in', async (t) => {
    const { files } = await inFolder(t, SHUFFLED)
    assert.deepEqual(files, [
      ['docs_note.md_3fa1b2c4d5e6', 'Answer to docs/note.md.\n'],
      ['docs_report.pdf', WHOLE],
    ])
  })

  test('--output-dir: parts that failed or have not ended are named in the file, and the failed are among the failures', async (t) => {
    const { files, failed } = await inFolder(t, [aFailure(1, 4), anAnswer(3, 4)])
    const parts = [
      '--- part 1 of 4 has no answer ---\n\n--- part 2 of 4 has no answer ---\n\n',
      '--- part 3 of 4 ---\n\nAnswer to docs/report.pdf#3/4.\n\n--- part 4 of 4 has no answer ---\n\n',
    ]
    assert.deepEqual(files, [['docs_report.pdf', parts.join('')]])
    assert.deepEqual(failed, [`docs/report.pdf#1/4@${HASH}`])
  })

  test('--output-dir: a document of which every part failed has no file', async (t) => {
    const { files, failed } = await inFolder(t, [aFailure(2, 2), aFailure(1, 2)])
    assert.deepEqual([files, failed.length], [[], 2])
  })

  test('--format text: the parts stand together in order below the document, as soon as all were read', async () => {
    const note = `== docs/note.md@${HASH} ==\nAnswer to docs/note.md.\n\n`
    assert.equal(await asText(SHUFFLED), `${note}== docs/report.pdf ==\n${WHOLE}`)
    assert.equal(
      await asText([anAnswer(2, 2, 'a'), anAnswer(1, 2, 'a'), other]).then((all) => all.endsWith(note)),
      true,
    )
  })

  test('--format text: a failed part has its reason, and with --errors stands only there', async () => {
    const records = [anAnswer(2, 2), aFailure(1, 2)]
    assert.match(await asText(records), /--- part 1 of 2 ---\n\n\(rejected: no\)\n\n--- part 2 of 2 ---\n\nAnswer/)
    const failed: string[] = []
    const failures = { write: async ({ record }: Result) => void failed.push(record.id) }
    assert.match(await asText(records, { failures }), /^== docs\/report\.pdf ==\n--- part 1 of 2 has no answer ---\n/)
    assert.deepEqual(failed, [`docs/report.pdf#1/2@${HASH}`])
  })

  test('csv and jsonl: each part has a line of its own that names the document and the part', async () => {
    const record = anAnswer(2, 3)
    assert.ok(record.status === 'succeeded')
    const result: Result = { kind: 'answer', record, answer: '{}' }
    assert.match([...formats.csv.write(result)].join(''), /,docs\/report\.pdf,2\/3\r\n$/)
    const line = JSON.parse([...formats.jsonl.write(result)].join(''))
    assert.deepEqual([line.document, line.part], ['docs/report.pdf', '2/3'])
    const failure: Result = { kind: 'failure', record: aFailure(1, 3) }
    assert.equal(JSON.parse([...formats.jsonl.write(failure)].join('')).part, '1/3')
    assert.equal(formats.csv.header.trimEnd().split(',').slice(-2).join(), 'document,part')
  })

  test('the parts of two documents are kept apart, and a written document is forgotten', () => {
    using held = openHeldParts()
    assert.equal(held.add({ document: 'a', n: 1, of: 2 }, 'a1'), undefined)
    assert.equal(held.add({ document: 'b', n: 2, of: 2 }, 'b2'), undefined)
    const whole = held.add({ document: 'a', n: 2, of: 2 }, 'a2')
    assert.ok(whole)
    assert.equal([...whole.texts()].join(''), '--- part 1 of 2 ---\n\na1\n\n--- part 2 of 2 ---\n\na2\n\n')
    held.forget(whole)
    assert.deepEqual(
      [...held.rest()].map(({ document }) => document),
      ['b'],
    )
  })
})

function partsMadeOf(
  source: string,
  metadata: Readonly<Record<string, string>>,
): readonly (DocumentPart | undefined)[] {
  const template = findBuiltInTemplate('summarize')
  assert.ok(template)
  const values = new Map(Object.entries({ name: source, text: 'word '.repeat(1_300_000) }))
  const made = makeLines(
    { source, row: undefined, ok: true, values },
    { template, model: 'gpt-4o-mini', metadata, split: true },
  )
  return [...made].map((each) => {
    assert.ok(each.ok)
    const parsed = parseJob(Buffer.from(each.line), {}, sha256)
    assert.ok(parsed.ok)
    return partOf(parsed.job)
  })
}

describe('which part of a document a job is', () => {
  for (const [what, source, metadata] of [
    ['a document', 'docs/a#1.md', {}],
    ['a document with a long path', `${'long/'.repeat(60)}a.md`, {}],
    ['a document with metadata of the same name', 'docs/a.md', { document: 'mine' }],
  ] as const) {
    test(`is known for every part that --split makes of ${what}`, () => {
      const parts = partsMadeOf(source, metadata)
      assert.ok(parts.length > 9)
      assert.deepEqual(
        parts,
        parts.map((_, at) => ({ document: source, n: at + 1, of: parts.length })),
      )
    })
  }

  for (const [what, id, part] of [
    ['a whole document', `docs/a.md@${HASH}`, undefined],
    ['a row', `table.csv#3@${HASH}`, undefined],
    ['an id that looks like one, without the metadata', `a#1/2@${HASH}`, undefined],
    ['an id that looks like one, with other metadata', `a#1/2@${HASH}`, '2/2'],
    ['a part beyond the last', `a#3/2@${HASH}`, '3/2'],
    ['a number that no document has', `a#1/999999@${HASH}`, '1/999999'],
    ['an id without a hash', 'a#1/2', '1/2'],
  ] as const) {
    test(`is nothing for ${what}`, () => {
      assert.equal(partOf({ id, metadata: { document: 'a', ...(part !== undefined && { part }) } }), undefined)
    })
  }
})

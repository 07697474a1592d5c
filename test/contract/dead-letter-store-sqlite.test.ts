import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { openSqliteDeadLetters } from '../../shared/stores/sqlite/sqlite-dead-letters.ts'
import { aNewDeadLetter, LETTER_DATA } from '../support/dead-letter-builders.ts'
import { deadLetterStoreContract } from './dead-letter-store-contract.ts'
import { isStoreError } from './job-store-support.ts'

async function newStack() {
  const stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'letters-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const path = join(folder, 'letters.db')
  const open = async () => stack.adopt(await openSqliteDeadLetters(path), async (own) => own.close())
  const alter = (sql: string, ...values: (string | Uint8Array)[]) => {
    const db = new DatabaseSync(path)
    db.prepare(sql).run(...values)
    db.close()
  }
  return { open, alter, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

deadLetterStoreContract('SQLite', async () => {
  const { open, alter, ...stack } = await newStack()
  return {
    letters: await open(),
    another: open,
    spoil: async (id) => alter(`UPDATE deadLetters SET document = '{"id": "to' WHERE id = ?`, id),
    close: () => stack[Symbol.asyncDispose](),
  }
})

test('SQLite: data that is not what was written is an error, never another message', async () => {
  await using on = await newStack()
  const letters = await on.open()
  const letter = await letters.put(aNewDeadLetter(), LETTER_DATA)
  on.alter('UPDATE deadLetters SET data = ?', LETTER_DATA.subarray(1))
  await assert.rejects(letters.readData(letter), isStoreError('corrupt'))
})

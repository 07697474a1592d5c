import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contextWindow } from '../../shared/job/context-window.ts'

test('the window of a model is found by its name, in any case, with and without a version', () => {
  const window = { input: 272_000, isShared: false, always: 272_000 }
  for (const name of ['gpt-5', 'GPT-5', 'gpt-5-2026-08-07']) assert.deepEqual(contextWindow(name), window)
  assert.deepEqual(contextWindow('gpt-4o-2024-11-20'), { input: 128_000, isShared: true, always: 128_000 })
})

test('a model that reads less on some deployments has both numbers', () => {
  assert.deepEqual(contextWindow('gpt-4.1'), { input: 1_047_576, isShared: true, always: 128_000 })
})

test('no window is known of another name, of none, or of what only looks like a version', () => {
  const names = [undefined, '', 'my-deployment', 'toString', 'gpt-5-1-01-01', 'gpt-5-2026-1-01', 'gpt-5-2026-01-1']
  for (const name of [...names, 'gpt-5-2026-08-07-eu', 'gpt-5-xxxx-08-07', 'gpt-5-2026-xx-07', 'gpt-5-2026-08-xx']) {
    assert.equal(contextWindow(name), undefined, name)
  }
})

import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { type CloudStorageOptions, startCloudStorage } from '../../local/cloud-storage.ts'
import { createCloudStorage } from '../../shared/sources/cloud-storage.ts'
import { findSources } from '../../shared/sources/find-sources.ts'
import { placeFault } from '../support/stand-ins.ts'

const OBJECTS = {
  'mine/reports/': '',
  'mine/reports/a.md': 'A',
  'mine/reports/b ü+%2F.txt': 'B',
  'mine/reports/deep/c.png': 'C',
  'mine/other.md': 'O',
}

async function aBucket(t: TestContext, options: Partial<CloudStorageOptions> = {}) {
  const server = await startCloudStorage({ objects: OBJECTS, pageSize: 2, ...options })
  const folder = await mkdtemp(join(tmpdir(), 'storage-'))
  t.after(() => Promise.all([server.close(), rm(folder, { recursive: true })]))
  const pauses: number[] = []
  const storage = createCloudStorage({
    origin: server.url,
    authorize: async () => new Headers({ authorization: 'Bearer good' }),
    pause: async (ms) => void pauses.push(ms),
    maxObjectBytes: 10,
    signal: AbortSignal.timeout(60_000),
  })
  return {
    server,
    folder,
    storage,
    pauses,
    list: (prefix: string) => Array.fromAsync(storage.list('mine', prefix)),
  }
}

test('cloud storage: a prefix names its objects over all pages; each is copied while it is read', async (t) => {
  const { server, folder } = await aBucket(t)
  const signal = AbortSignal.timeout(60_000)
  const options = { folder, input: Readable.from([]), storageEmulator: server.url.replace('http://', ''), signal }
  const texts: string[] = []
  for await (const found of findSources('gs://mine/reports/', options)) {
    if (found.kind === 'skipped') texts.push(`skipped ${found.name}`)
    else {
      await using copy = await found.file.open()
      texts.push(`${found.file.name}: ${await readFile(copy.path, 'utf8')}`)
    }
  }
  assert.deepEqual(texts, [
    'gs://mine/reports/a.md: A',
    'gs://mine/reports/b ü+%2F.txt: B',
    'skipped gs://mine/reports/deep/c.png',
  ])
  assert.deepEqual(await readdir(folder), [])
  await assert.rejects(Array.fromAsync(findSources('gs://mine/none/', options)), /gs:\/\/mine\/none\/ has no objects/)
  await assert.rejects(Array.fromAsync(findSources('gs://theirs/', options)), /no such bucket or object \(404\)/)
})

test('cloud storage: a request that fails for now is repeated after growing pauses, three times', async (t) => {
  const { server, list, pauses } = await aBucket(t)
  await placeFault(server, { kind: 'status', error: 'unavailable', times: 2 })
  assert.equal((await list('other')).length, 1)
  assert.deepEqual(pauses, [500, 2_000])
  await placeFault(server, { kind: 'status', error: 'unavailable', times: 4 })
  await assert.rejects(list('other'), /gs:\/\/mine\/other: Cloud Storage answered 503/)
})

test('cloud storage: a refusal is not repeated, and says what is missing', async (t) => {
  const { server, list, pauses } = await aBucket(t, { token: 'good' })
  assert.equal((await list('other')).length, 1)
  await placeFault(server, { kind: 'status', error: 'forbidden', times: 1 })
  await assert.rejects(list(''), /403\): it needs roles\/storage\.objectViewer/)
  const stranger = await aBucket(t, { token: 'another' })
  await assert.rejects(stranger.list(''), /refused the login \(401\)/)
  assert.deepEqual([...pauses, ...stranger.pauses], [])
})

test('cloud storage: an object above the limit is refused', async (t) => {
  const { storage, list, folder } = await aBucket(t, { objects: { 'mine/a.md': 'x'.repeat(11) } })
  const [object] = await list('')
  assert.ok(object)
  await assert.rejects(storage.download('mine', object, join(folder, 'a')), /gs:\/\/mine\/a\.md has more than 10 bytes/)
})

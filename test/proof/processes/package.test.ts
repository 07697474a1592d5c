import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { z } from 'zod'
import { bundleInto } from '../../../deploy/bundle.ts'
import { AZURE } from '../../../local/identities.ts'
import { openQueueReport } from '../../../shared/queues/sqlite/queue-report.ts'
import { STORAGE, serveBlob } from '../../support/blob-server.ts'
import { aDocx, aPdf, pdfText } from '../../support/document-files.ts'
import { startCloud } from '../../support/stand-ins.ts'
import { startWorker } from '../../support/worker.ts'

const ROOT = join(import.meta.dirname, '../../..')

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'package-'))
  await install()
})
after(() => rm(folder, { recursive: true }))

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command in the folder of a user, under this Node. */
async function run(command: string, args: readonly string[], cwd = folder, env = {}): Promise<Ended> {
  const PATH = [dirname(process.execPath), process.env['PATH']].join(delimiter)
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env, PATH }, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [code] = await once(child, 'close')
  return { code: z.number().parse(code), stdout, stderr }
}

async function succeed(command: string, args: readonly string[], cwd = folder, env = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, cwd, env)
  assert.equal(code, 0, `${command} ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

const packed = z.tuple([z.object({ filename: z.string(), files: z.array(z.object({ path: z.string() })) })])
let files: readonly string[] = []

/** Installs as a user does after `npm init`, which makes a package of CommonJS. The package contains all it needs, so npm needs no registry. */
async function install(): Promise<void> {
  const said = await succeed(
    'npm',
    ['pack', '--json', '--foreground-scripts=false', '--pack-destination', folder],
    ROOT,
  )
  const [{ filename, files: inside }] = packed.parse(JSON.parse(said))
  files = inside.map(({ path }) => path).toSorted()
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "commonjs" }')
  await succeed('npm', ['install', '--offline', '--no-audit', '--no-fund', `./${filename}`])
}

const hashed = z.object({ name: z.string(), hashes: z.array(z.object({ alg: z.string(), content: z.string() })) })
const sbom = z.object({
  metadata: z.object({ component: z.object({ components: z.array(hashed) }) }),
  components: z.array(z.object({ name: z.string(), version: z.string() })),
})

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)

/** The packages of files, as name@version, sorted. */
async function packagesIn(paths: readonly string[]): Promise<string[]> {
  const manifests = new Set<string>()
  for (const path of paths.filter((path) => path.includes('node_modules/'))) {
    const start = path.lastIndexOf('node_modules/') + 'node_modules/'.length
    const depth = path.startsWith('@', start) ? 2 : 1
    const name = path.slice(start).split('/').slice(0, depth).join('/')
    manifests.add(join(ROOT, path.slice(0, start), name, 'package.json'))
  }
  const found = [...manifests].map(async (file) => {
    const { name, version } = JSON.parse(await readFile(file, 'utf8'))
    return `${name}@${version}`
  })
  return [...new Set(await Promise.all(found))].toSorted()
}

const installed = (...path: string[]) => join(folder, 'node_modules', ...path)

describe('the package', () => {
  test('holds what was built, and brings no other package along', async () => {
    const programs = ['cli.mjs', 'client.d.ts', 'client.mjs', 'client.mjs.map', 'local.mjs', 'reader.mjs']
    const built = ['LICENSES.txt', ...programs, 'sbom.cdx.json', 'worker.cdx.json', 'worker.mjs']
    const isChunk = (file: string) => /^dist\/(cli\/\w+\.mjs|client\/\w+\.mjs(\.map)?)$/.test(file)
    const others = files.filter((file) => !isChunk(file))
    assert.deepEqual(others, ['LICENSE', 'README.md', ...built.map((file) => `dist/${file}`), 'package.json'])
    const installedToo = (await readdir(installed())).filter((name) => !name.startsWith('.'))
    assert.deepEqual(installedToo, ['promptbridge'])
  })

  test('brings the licence of every package that was bundled', async () => {
    const licences = await readFile(installed('promptbridge/dist/LICENSES.txt'), 'utf8')
    for (const name of ['@google-cloud/pubsub', '@azure/identity', 'openai', 'zod']) {
      assert.match(licences, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+: (Apache-2\\.0|MIT)\\n\\n.*licen[cs]e`, 'ims'))
    }
  })

  test('lists every package that the bundler reports, and nothing else', async () => {
    const { metafile } = await bundleInto(join(folder, 'bundled'))
    const outputs = Object.values(metafile.outputs)
    for (const [file, bundles] of [
      ['sbom.cdx.json', outputs],
      ['worker.cdx.json', outputs.filter(({ entryPoint }) => entryPoint === 'worker/main.ts')],
    ] as const) {
      const reported = await packagesIn(
        bundles.flatMap(({ inputs }) => Object.keys(inputs).filter((path) => inputs[path]?.bytesInOutput !== 0)),
      )
      const { components } = sbom.parse(JSON.parse(await readFile(installed('promptbridge/dist', file), 'utf8')))
      const listed = components.map(({ name, version }) => `${name}@${version}`)
      assert.deepEqual(listed.toSorted(), reported, file)
      assert.ok(listed.length > 100)
    }
  })

  test('has lists with the hashes of the bundles that they are of', async () => {
    for (const [file, names] of [
      ['sbom.cdx.json', files.filter((file) => file.endsWith('.mjs')).map((file) => file.slice('dist/'.length))],
      ['worker.cdx.json', ['worker.mjs']],
    ] as const) {
      const { metadata } = sbom.parse(JSON.parse(await readFile(installed('promptbridge/dist', file), 'utf8')))
      const expected = names.map(async (name) => {
        const content = createHash('sha256').update(await readFile(installed('promptbridge/dist', name)))
        return { name: basename(name), hashes: [{ alg: 'SHA-256', content: content.digest('hex') }] }
      })
      assert.deepEqual(metadata.component.components.toSorted(byName), (await Promise.all(expected)).toSorted(byName))
    }
  })

  test('has a command that explains itself', async () => {
    assert.match(await succeed(installed('.bin/promptbridge'), ['--help']), /^Usage: promptbridge/)
    assert.equal((await run(installed('.bin/promptbridge'), ['no-such-command'])).code, 2)
  })

  test('takes the text out of each kind of document', async () => {
    const documents = join(folder, 'documents')
    await mkdir(documents)
    await writeFile(join(documents, 'a.pdf'), aPdf([pdfText('Ferries')]))
    await writeFile(join(documents, 'b.docx'), aDocx('Bridges'))
    await writeFile(join(documents, 'c.html'), '<p>Tunnels</p>')
    await writeFile(join(documents, 'd.csv'), 'text\nRoads\n')
    const command = ['submit', 'documents', '--template', 'summarize', '--model', 'gpt-4o', '--dry-run', '--json']
    const { jobs, refused } = JSON.parse(await succeed(installed('.bin/promptbridge'), command))
    assert.deepEqual({ jobs, refused }, { jobs: 4, refused: 0 })
  })

  test('has a worker that says what it lacks', async () => {
    const { code, stderr } = await run(process.execPath, [installed('promptbridge/dist/worker.mjs')])
    assert.equal(code, 1)
    assert.match(stderr, /^promptbridge worker: \d+ setting\(s\) need attention/)
  })

  test('runs the demo over the packages of the folder it is used in', async () => {
    const names = ['hono', 'zod', 'openai']
    for (const name of names) {
      await mkdir(installed(name))
      await cp(join(ROOT, 'node_modules', name, 'README.md'), installed(name, 'README.md'))
    }
    const stdout = await succeed(installed('.bin/promptbridge'), ['demo', '--json'])
    const documents = names.length + 1
    assert.partialDeepStrictEqual(JSON.parse(stdout), { jobs: documents + 2, succeeded: documents, problems: [] })
  })

  test('has types that hold without any other package, and refuse what is no job', async () => {
    await cp(join(ROOT, 'docs/examples'), join(folder, 'examples'), { recursive: true })
    const wrong = "import { createPublisher } from 'promptbridge'\nconst to = await createPublisher({ project: 'p' })\n"
    await writeFile(join(folder, 'wrong.mts'), `${wrong}await to.submit({ promt: 'x' })\n`)
    const flags = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2024', '--lib', 'es2024']
    const types = ['--typeRoots', join(ROOT, 'node_modules/@types'), '--types', 'node', '--exactOptionalPropertyTypes']
    const tsc = join(ROOT, 'node_modules/.bin/tsc')
    for (const [page, name] of [
      ['README.md', 'readme.mts'],
      ['docs/client.md', 'client-page.mts'],
    ] as const) {
      const [, shown = ''] = /```ts\n([\s\S]+?)```/.exec(await readFile(join(ROOT, page), 'utf8')) ?? []
      assert.match(shown, /createPublisher|createClient/)
      await writeFile(join(folder, 'examples', name), shown)
    }
    const examples = await readdir(join(folder, 'examples'))
    await succeed(tsc, [...flags, ...types, ...examples.map((name) => `examples/${name}`)])
    const { code, stdout } = await run(tsc, [...flags, ...types, 'wrong.mts'])
    assert.notEqual(code, 0)
    assert.match(stdout, /wrong\.mts\(3,\d+\): error .*'promt' does not exist/)
  })

  test('says what is wrong with an argument, and shows no minified source', async () => {
    const call = "import { createPublisher } from 'promptbridge'\nawait createPublisher({})\n"
    await writeFile(join(folder, 'call.mjs'), call)
    const { stderr } = await run(process.execPath, ['call.mjs'])
    assert.match(stderr, /^TypeError: createPublisher: project is missing$/m)
    assert.ok(stderr.length < 3_000, stderr.slice(0, 200))
    const mapped = await run(process.execPath, ['--enable-source-maps', 'call.mjs'])
    assert.match(mapped.stderr, /shared\/client\/check-arguments\.ts:\d+/)
  })

  test('publishes jobs and reads their results, as the examples show', async () => {
    await cp(join(ROOT, 'docs/examples'), join(folder, 'examples'), { recursive: true })
    await using cloud = await startCloud()
    await using worker = await startWorker(cloud)
    const place = `sqlite:${worker.file}`
    const keys = await succeed(process.execPath, ['examples/publish-jobs.mts', place])
    assert.match(keys, /^[\w-]{22}\n[\w-]{22}\n$/)
    const report = await openQueueReport(worker.file)
    const messages = await report.list('promptbridge-jobs', { limit: 10 })
    report.close()
    for (const { data, attributes } of messages) await worker.push(data, { attributes })
    const results = await succeed(process.execPath, ['examples/read-results.mts', place])
    assert.match(results, /^bridge \d+ ".*Bridges/m)
    assert.match(results, /^tunnel \d+ ".*Tunnels/m)
  })

  test('gets a token for another Azure service, as the example shows', async () => {
    await cp(join(ROOT, 'docs/examples'), join(folder, 'examples'), { recursive: true })
    const resources = [AZURE.resource, STORAGE]
    await using cloud = await startCloud({ entra: { resources, caPath: join(folder, 'entra.pem') } })
    await using blob = await serveBlob('Bridges carry people over water.', cloud.entra.keysUrl)
    const printed = await succeed(process.execPath, ['examples/azure-credential.mts', blob.url], folder, cloud.env)
    assert.equal(printed, 'Bridges carry people over water.\n')
  })
})

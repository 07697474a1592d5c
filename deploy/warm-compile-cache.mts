import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** None of these addresses is called: the worker opens its stores at the first job. */
const SETTINGS = {
  HOST: '127.0.0.1',
  PORT: '0',
  PUSH_AUTH: 'off',
  GOOGLE_CLOUD_PROJECT: 'nowhere',
  FIRESTORE_EMULATOR_HOST: '127.0.0.1:9',
  PUBSUB_EMULATOR_HOST: '127.0.0.1:9',
  AZURE_TENANT_ID: 'nowhere',
  AZURE_CLIENT_ID: '00000000-0000-4000-8000-000000000000',
  AZURE_OPENAI_ENDPOINT: 'http://127.0.0.1:9',
  AZURE_OPENAI_DEPLOYMENT: 'nothing',
}

/**
 * Starts a worker, ends it when it listens, and makes Node's compile cache in a folder readable for everyone.
 *
 * Node makes each file readable only for its owner. If it cannot read a file, it compiles again without an error.
 */
async function warm(worker: string, folder: string): Promise<void> {
  const child = spawn(process.execPath, [worker], {
    env: { ...SETTINGS, NODE_COMPILE_CACHE: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  createInterface(child.stdout).on('line', (line) => {
    if (line.includes('listening')) child.kill('SIGTERM')
  })
  const [code] = await ended
  const files = globSync('*/*', { cwd: folder })
  if (code !== 0 || files.length === 0) throw new Error(`the worker ended with ${code} and left ${files.length} files`)
  for (const file of files) chmodSync(join(folder, file), 0o444)
}

const [worker = 'dist/worker.mjs', folder = 'compile-cache'] = process.argv.slice(2)
await warm(worker, folder)

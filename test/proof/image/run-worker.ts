import { type WorkerProcess, watchWorker } from '../../support/worker-process.ts'
import { startContainer } from './container.ts'
import type { Image } from './perform-stages.ts'

/** Settings with which a worker starts that is asked nothing. */
export const IDLE = {
  HOST: '127.0.0.1',
  PORT: '0',
  PUSH_AUTH: 'off',
  STORE: 'sqlite:/state/state.db',
  AZURE_TENANT_ID: 'nowhere',
  AZURE_CLIENT_ID: '00000000-0000-4000-8000-000000000000',
  AZURE_OPENAI_ENDPOINT: 'http://127.0.0.1:9',
  AZURE_OPENAI_DEPLOYMENT: 'nothing',
}

/** Runs what the image is made for, with `state` as its only place to write. */
export function runWorker(image: Image, state: string, env: Readonly<Record<string, string>>): WorkerProcess {
  const { root, workdir, uid, gid, entrypoint, command } = image
  const place = { root, workdir, uid, gid, volumes: { '/state': state }, isReadOnly: true }
  return watchWorker(startContainer([...entrypoint, ...command], { ...place, env: { ...image.env, ...env } }))
}

/** Sends SIGTERM, and throws unless the worker ends in order. */
export async function stopWorker(worker: WorkerProcess): Promise<void> {
  worker.kill('SIGTERM')
  const { code, stderr } = await worker.ended
  if (code !== 0) throw new Error(`on SIGTERM the worker ended with ${code}, not 0: ${stderr}`)
}

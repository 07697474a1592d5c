import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { freePort } from './free-port.ts'

/** An emulator of the Google Cloud SDK. */
export interface Emulator {
  /** HOST:PORT */
  readonly address: string
  close(): Promise<void>
}

/** The commands that the emulators need and that are missing here; undefined when none is missing. */
export function missingForEmulators(): string | undefined {
  const missing = ['gcloud', 'java'].filter((command) => spawnSync('which', [command]).status !== 0)
  return missing.length === 0 ? undefined : `${missing.join(' and ')} not found`
}

const PROJECT = 'emulated'
/** Java starts slowly on a busy machine. */
const START_TIMEOUT_MS = 180_000
const READY = { firestore: /running/i, pubsub: /Server started/i }

/** Starts an emulator on a free port. Rejects when the Cloud SDK or Java is missing, and when it does not come up in time. */
export async function startEmulator(service: keyof typeof READY): Promise<Emulator> {
  const missing = missingForEmulators()
  if (missing !== undefined) throw new Error(`Google's emulators need the Google Cloud SDK and Java: ${missing}`)
  const address = `127.0.0.1:${await freePort()}`
  const args = ['beta', 'emulators', service, 'start', `--host-port=${address}`, `--project=${PROJECT}`, '--quiet']
  // A process group of its own: gcloud starts a shell that starts Java, and all three must be ended together.
  const child = spawn('gcloud', args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  const close = async () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM')
    await exited
  }
  try {
    await untilPrinted(child.stderr, READY[service])
    return { address, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function untilPrinted(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<void> {
  const lines = createInterface({ input: stream })
  const printed: string[] = []
  const late = setTimeout(() => lines.close(), START_TIMEOUT_MS)
  try {
    for await (const line of lines) {
      printed.push(line)
      if (pattern.test(line)) return
    }
  } finally {
    clearTimeout(late)
    stream.resume()
  }
  throw new Error(`the emulator did not start:\n${printed.join('\n')}`)
}

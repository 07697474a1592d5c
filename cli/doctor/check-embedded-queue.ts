import type { Config } from '../../shared/config/config.ts'
import { quote } from '../../shared/lib/quote.ts'
import { readBacklog } from '../../shared/queues/sqlite/backlog.ts'
import { hasConsumer } from '../../shared/queues/sqlite/consumers.ts'
import { invocation } from '../installation.ts'
import type { Finding } from './step.ts'

/** Checks who delivers the jobs of a SQLite file. `config`: undefined where the settings are incomplete. */
export async function checkEmbeddedQueue(path: string, topic: string, config: Config | undefined): Promise<Finding> {
  const { messages, isPaused } = (await readBacklog(path, topic)) ?? { messages: 0, isPaused: false }
  const jobs = `${messages} ${messages === 1 ? 'message waits or is' : 'messages wait or are'} under way in ${topic}`
  if (isPaused) {
    const fix = `${invocation()} resume --store ${quote(`sqlite:${path}`)}`
    return { ok: null, seen: `${jobs}; the delivery is paused`, fix }
  }
  if (config !== undefined && !config.deliversItself) {
    const unset = 'without PUSH_AUTH a worker delivers them itself'
    return { ok: null, seen: `${jobs}; PUSH_AUTH is set, so the worker waits for something to push them (${unset})` }
  }
  if (hasConsumer(path)) return { ok: true, seen: `${jobs}; a worker delivers them`, value: undefined }
  if (messages === 0) return { ok: null, seen: `no worker runs on ${path}, and no message waits` }
  return {
    ok: false,
    seen: `${jobs}, and no worker runs on ${path}`,
    expected: 'a worker that delivers them',
    fix: `Start a worker with STORE=${quote(`sqlite:${path}`)}: npm start`,
  }
}

import { syncBuiltinESMExports } from 'node:module'
import timersPromises from 'node:timers/promises'
import type { PlannedEvent } from './event-heap.ts'
import type { World } from './world.ts'

/** What Node gives for a timer, as far as anybody asks. */
interface VirtualTimer {
  readonly event: PlannedEvent
  unref(): VirtualTimer
}

type Replaced = readonly [holder: object, name: string, by: unknown]

/**
 * Replaces the machine's time by the world's until it is disposed of: timers, clocks and Math.random, in libraries as
 * well. The process that sets a timer owns it: it fires late for a frozen process, and never for a dead one.
 */
export function installVirtualTime(world: World): Disposable {
  const setTimer = (call: (...args: readonly unknown[]) => void, ms: unknown, ...args: readonly unknown[]) => {
    const timer: VirtualTimer = {
      event: world.after(typeof ms === 'number' ? ms : 0, world.current(), () => call(...args)),
      unref: () => timer,
    }
    return timer
  }
  const clearTimer = (timer: VirtualTimer | undefined) => {
    if (timer !== undefined) timer.event.isCancelled = true
  }
  const replaced: readonly Replaced[] = [
    [globalThis, 'setTimeout', setTimer],
    [globalThis, 'clearTimeout', clearTimer],
    [globalThis, 'setImmediate', (call: () => void) => setTimer(call, 0)],
    [globalThis, 'clearImmediate', clearTimer],
    [AbortSignal, 'timeout', (ms: number) => timeoutSignal(setTimer, ms)],
    [Date, 'now', world.now],
    [performance, 'now', world.now],
    [Math, 'random', world.random.next],
    [
      timersPromises,
      'setTimeout',
      (ms: number, value: unknown, options?: Signalled) => delay(setTimer, ms, value, options),
    ],
  ]
  const originals = replaced.map(([holder, name]) => [holder, name, Reflect.get(holder, name)] as const)
  put(replaced)
  return { [Symbol.dispose]: () => put(originals) }
}

function put(values: readonly Replaced[]): void {
  for (const [holder, name, value] of values) {
    Object.defineProperty(holder, name, { value, configurable: true, writable: true, enumerable: true })
  }
  // Updates the names that were already imported from node:timers/promises.
  syncBuiltinESMExports()
}

type SetTimer = (call: () => void, ms: number) => VirtualTimer

function timeoutSignal(setTimer: SetTimer, ms: number): AbortSignal {
  const controller = new AbortController()
  setTimer(() => controller.abort(new DOMException('the time is over', 'TimeoutError')), ms)
  return controller.signal
}

interface Signalled {
  readonly signal?: AbortSignal
}

function delay(setTimer: SetTimer, ms: number, value: unknown, { signal }: Signalled = {}): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const onAbort = () => {
    timer.event.isCancelled = true
    reject(new DOMException('the wait was broken off', 'AbortError'))
  }
  const timer = setTimer(() => {
    signal?.removeEventListener('abort', onAbort)
    resolve(value)
  }, ms)
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  return promise
}

import type { Database } from '../../../shared/stores/firestore/database.ts'
import { StoreError } from '../../../shared/stores/job-store.ts'
import { count, type Exercised } from './exercised.ts'
import { type Faults, type Port, ratesAt } from './faults.ts'
import type { Process, World } from './world.ts'

/** What every process's calls go over. */
export interface WireParts {
  readonly world: World
  readonly faults: Faults
  readonly exercised: Exercised
}

/** One process's way to the others. */
export interface Wire {
  /**
   * Sends a call, and resolves with its answer. It may be turned away, be applied without its caller's hearing of it, or be
   * applied after its caller has given it up; each rejects with what `away` makes. Its caller may die of it, or be frozen.
   */
  call<T>(what: Call<T>): Promise<T>
  /** Whether one part of a call is turned away, and the others are not. */
  turnsAway(): boolean
  /** Whether a count or a sum over this batch takes longer than it may. */
  isSlow(batch: string | undefined): boolean
  /** A caller's death or standstill at a call. True: it is dead, and the call was not sent. */
  fateOfCaller(label: string): boolean
  /** The same for one that has just had an answer of the model. True: it is dead. */
  fateWithAnswer(label: string): boolean
}

interface Call<T> {
  readonly port: Port
  readonly label: string
  readonly apply: () => Promise<T>
  readonly away: (why: string) => Error
  /** For so many milliseconds the caller waits in vain, and it is never answered. */
  readonly endless?: number | undefined
}

const MAX_LATENCY_MS = 150
/** As long as our adapters wait. */
const TIMEOUT_MS = 5_000
/** As long as they wait for a count or a sum. */
const AGGREGATION_MS = 25_000
const MAX_LATE_MS = 90_000
/** How long a process stands still. */
const MOMENT = { fromMs: 1_000, toMs: 60_000 }
const MOST_OF_A_PUSH = { fromMs: 60_000, toMs: 120_000 }
/** A sweep sets the jobs back that it holds. */
const UNTIL_SWEPT = { fromMs: 110_000, toMs: 200_000 }
/** A standstill with an answer in hand shows the most. */
const MORE_OFTEN_WITH_ANSWER = 10
const MAX_JUMP_MS = 10 * 60_000

/** `die`: ends the process. Nothing that it has begun goes on, but what it has sent arrives. */
export function createWire(parts: WireParts, process: Process, die: (why: string) => void): Wire {
  const { world, faults, exercised } = parts
  const { random } = world
  const latency = () => random.whole(1, MAX_LATENCY_MS)
  const note = (what: string) => world.note(process.name, what)

  function fateOfCaller(label: string): boolean {
    const { crash, freeze, jump } = ratesAt(faults, world.now())
    if (random.chance(jump)) world.after(random.whole(0, 2 * MAX_LATENCY_MS), process, setClock)
    if (random.chance(crash)) {
      if (random.chance(0.5)) {
        count(exercised, 'crash before a call')
        die(`dies before ${label}`)
        return true
      }
      count(exercised, 'crash after a call')
      // In the middle of what the call leads to.
      world.after(random.whole(0, 2 * MAX_LATENCY_MS), process, () => die(`dies after ${label}`))
    } else if (random.chance(freeze)) {
      standStill(random.pick([MOMENT, MOST_OF_A_PUSH, UNTIL_SWEPT]), label)
    }
    return false
  }

  function standStill({ fromMs, toMs }: typeof MOMENT, label: string): void {
    count(exercised, 'freeze')
    const forMs = random.whole(fromMs, toMs)
    process.frozenUntil = world.now() + forMs
    trouble('store', forMs)
    note(`stands still for ${forMs} ms at ${label}`)
  }

  function setClock(): void {
    count(exercised, 'clock set')
    const byMs = random.whole(-MAX_JUMP_MS, MAX_JUMP_MS)
    process.skewMs += byMs
    if (byMs < 0) process.clockSetBackAt = world.now()
    process.troubledAt = Math.max(process.troubledAt, world.now())
    note(`its clock is set by ${byMs} ms`)
  }

  function trouble(port: Port, untilMs: number): void {
    if (port === 'store') process.troubledAt = Math.max(process.troubledAt, world.now() + untilMs)
  }

  return {
    fateOfCaller,
    fateWithAnswer(label) {
      if (!random.chance(MORE_OFTEN_WITH_ANSWER * ratesAt(faults, world.now()).freeze)) return fateOfCaller(label)
      standStill(UNTIL_SWEPT, label)
      return false
    },
    isSlow: (batch) => faults.isSlow(batch, world.now()),
    turnsAway() {
      const isAway = random.chance(ratesAt(faults, world.now()).refuse)
      if (isAway) trouble('store', 0)
      return isAway
    },
    call({ port, label, apply, away, endless }) {
      const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<typeof apply>>>()
      if (process.isDead || fateOfCaller(label)) return promise
      const { refuse, lose, late } = ratesAt(faults, world.now())
      const fail = (why: string, ms: number) => world.after(ms, process, () => reject(away(why)))
      if (faults.isAway(port, world.now()) || random.chance(refuse)) {
        count(exercised, 'refused call')
        note(`${label}: turned away`)
        trouble(port, 0)
        fail('turned away', latency())
        return promise
      }
      if (endless !== undefined) {
        count(exercised, 'count that takes too long')
        note(`${label}: takes too long`)
        fail('no answer in time', endless)
        return promise
      }
      const isLate = random.chance(late)
      const travelMs = isLate ? random.whole(TIMEOUT_MS, MAX_LATE_MS) : latency()
      if (isLate) {
        count(exercised, 'call applied late')
        trouble(port, travelMs)
        fail('no answer in time', TIMEOUT_MS)
      }
      const isLost = random.chance(lose)
      world.after(travelMs, undefined, async () => {
        const how = isLate ? ' (late)' : isLost ? ' (its reply is lost)' : ''
        try {
          const answer = await apply()
          note(`${label}${how}: ${say(answer)}`)
          if (isLost && !isLate) {
            count(exercised, 'lost reply')
            if (port === 'store') process.lostRepliesAt.push(world.now())
            fail('the reply was lost', latency())
          } else world.after(latency(), process, () => resolve(answer))
        } catch (error) {
          note(`${label}${how}: ${error instanceof Error ? error.message : 'fails'}`)
          world.after(latency(), process, () => reject(error))
        }
      })
      return promise
    },
  }
}

const MAX_SAID = 80

/** A short form of the answer to a write. */
function say(answer: unknown): string {
  if (!Array.isArray(answer)) return 'answered'
  if (answer.length === 0) return 'nothing'
  const kinds = answer.map((each: unknown) =>
    typeof each === 'object' && each !== null && 'kind' in each ? String(each.kind) : 'answered',
  )
  return [...new Set(kinds)].join(', ').slice(0, MAX_SAID)
}

/** Each write of a call has its own answer. */
async function writeSome(database: Database, writes: Parameters<Database['batchWrite']>[0], wire: Wire) {
  const isAway = writes.map(() => writes.length > 1 && wire.turnsAway())
  const answers = await database.batchWrite(writes.filter((_, n) => !isAway[n]))
  if (answers === 'impossible') return answers
  const left = [...answers]
  const away = { kind: 'unavailable', cause: new Error('turned away') } as const
  return writes.map((_, n) => (isAway[n] ? away : (left.shift() ?? away)))
}

/**
 * Firestore as one process reaches it. `flushed` hears which documents each call carries, and when it is over. `away`: makes
 * what a call that fails rejects with.
 */
export function overWire(
  database: Database,
  wire: Wire,
  flushed: (names: readonly string[]) => () => void,
  away: (why: string) => Error = (why) => new StoreError('unavailable', why),
): Database {
  const call = <T>(label: string, apply: () => Promise<T>) => wire.call({ port: 'store', label, apply, away })
  const aggregate = <T>(label: string, equal: Readonly<Record<string, string>>, apply: () => Promise<T>) => {
    const { batch } = equal
    const endless = wire.isSlow(batch) ? AGGREGATION_MS : undefined
    return wire.call({ port: 'store', label: `${label} of ${batch}`, apply, away, endless })
  }
  const short = (name: string) => name.slice(database.root.length + 1)
  return {
    root: database.root,
    batchWrite(writes) {
      const names = writes.map(({ update }) => update?.name ?? '')
      const over = flushed(names)
      const answers = writes.map(({ update, currentDocument }) => {
        const status = update?.fields?.['status']?.stringValue
        const fence = currentDocument?.exists === false ? 'create' : currentDocument?.updateTime ? 'replace' : 'put'
        return `${fence} ${short(update?.name ?? '')}${status ? ` ${status}` : ''}`
      })
      return call(answers.join(' + '), () => writeSome(database, writes, wire)).finally(over)
    },
    get: (name, mask) => call(`get ${short(name)}`, () => database.get(name, mask)),
    newest: (...asked) => call('newest', () => database.newest(...asked)),
    since: (...asked) => call('since', () => database.since(...asked)),
    async *walk(...asked) {
      yield* await call('walk', () => Array.fromAsync(database.walk(...asked)))
    },
    range: (...asked) => call('range', () => database.range(...asked)),
    sum: (...asked) => aggregate('sum', asked[1], () => database.sum(...asked)),
    count: (...asked) => aggregate('count', asked[1], () => database.count(...asked)),
    sumAndCount: (...asked) => aggregate('sum and count', asked[1], () => database.sumAndCount(...asked)),
    close: () => database.close(),
  }
}

import type { Job } from '../../shared/job/job.ts'

/** The first line of a job. */
interface Earlier {
  readonly line: number
  /** Whether the job had the same data there. */
  readonly isSame: boolean
}

/** Remembers which jobs of a file were seen, and with which data. */
export interface SeenJobs {
  /** Remembers a job. If one with the same key was seen before, returns that one instead. Lines count from 1. */
  add(job: Pick<Job, 'key' | 'payloadHash'>, line: number): Earlier | undefined
}

/** 64 bits of the key, enough to avoid a collision within one file; 32 bits of the data's hash; the line. */
const WORDS = 4
const DATA_AT = 2
const LINE_AT = 3
/** Tables grow one at a time, so that the copy of a growing one is small. */
const TABLES = 64
const FIRST_SLOTS = 16
const GROWTH = 1.5
const MAX_LOAD = 0.75

/**
 * Hash tables in arrays. They need 21 to 32 bytes for each line; a Map of strings needs about 200.
 *
 * Two jobs with the same key and different data are confused once in four billion times. The worker then rejects the second
 * one as a conflict.
 */
export function createSeenJobs(): SeenJobs {
  const tables = Array.from({ length: TABLES }, createTable)
  return {
    add(job, line) {
      const entry = entryOf(job, line)
      return tables[(entry[1] ?? 0) % TABLES]?.add(entry)
    },
  }
}

function createTable() {
  let slots = new Uint32Array(FIRST_SLOTS * WORDS)
  let count = 0
  return {
    add(entry: Uint32Array): Earlier | undefined {
      if (count * WORDS >= slots.length * MAX_LOAD) slots = enlarge(slots)
      const at = find(slots, entry)
      const earlier = slots[at + LINE_AT] ?? 0
      if (earlier !== 0) return { line: earlier, isSame: slots[at + DATA_AT] === entry[DATA_AT] }
      slots.set(entry, at)
      count += 1
      return undefined
    },
  }
}

function entryOf({ key, payloadHash }: Pick<Job, 'key' | 'payloadHash'>, line: number): Uint32Array {
  const bytes = Buffer.from(key, 'base64url')
  const data = Number.parseInt(payloadHash.slice(0, 8), 16)
  return Uint32Array.of(bytes.readUInt32LE(0), bytes.readUInt32LE(4), data, line)
}

function enlarge(slots: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.ceil((slots.length / WORDS) * GROWTH) * WORDS)
  for (let at = 0; at < slots.length; at += WORDS) {
    const entry = slots.subarray(at, at + WORDS)
    if (entry[LINE_AT] !== 0) larger.set(entry, find(larger, entry))
  }
  return larger
}

/** Where an entry's key is, or the free place for it. The key is a hash already. */
function find(slots: Uint32Array, entry: Uint32Array): number {
  let at = ((entry[0] ?? 0) % (slots.length / WORDS)) * WORDS
  while (slots[at + LINE_AT] !== 0 && !hasKeyOf(slots, at, entry)) at = (at + WORDS) % slots.length
  return at
}

function hasKeyOf(slots: Uint32Array, at: number, entry: Uint32Array): boolean {
  return slots[at] === entry[0] && slots[at + 1] === entry[1]
}

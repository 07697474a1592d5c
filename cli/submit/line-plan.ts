import { crc32 } from 'node:zlib'
import type { Line } from '../../shared/lib/split-lines.ts'

/** Which lines of an input are sent. It needs four bytes for each line. */
export interface LinePlan {
  /** Has a line sent, with the data that it has now. */
  send(line: Line): void
  /** same: it is sent. other: it is not to be sent. changed: it has other data than when it was checked. */
  judge(line: Line): 'same' | 'other' | 'changed'
  /** Leaves out a line that was to be sent. */
  leaveOut(line: number): void
  /** The number of the last line that was to be sent at first. */
  last(): number
}

const FIRST_LINES = 1_024

export function createLinePlan(): LinePlan {
  let sums = new Uint32Array(FIRST_LINES)
  let last = 0
  return {
    send({ number, data }) {
      while (number >= sums.length) sums = enlarge(sums)
      sums[number] = sumOf(data)
      last = number
    },
    judge({ number, data }) {
      const planned = sums[number] ?? 0
      if (planned === 0) return 'other'
      return planned === sumOf(data) ? 'same' : 'changed'
    },
    leaveOut(line) {
      sums[line] = 0
    },
    last: () => last,
  }
}

/** 0 stands for a line that is not sent. */
function sumOf(data: Uint8Array): number {
  return crc32(data) || 1
}

function enlarge(sums: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(sums.length * 2)
  larger.set(sums)
  return larger
}

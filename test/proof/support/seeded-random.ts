/** Draws that hang on a seed alone. */
export interface Random {
  /** 0 to 1, never 1. */
  next(): number
  /** A whole number, both ends included. */
  whole(from: number, to: number): number
  /** Whether something of this likelihood, 0 to 1, happens. */
  chance(likelihood: number): boolean
  /** One of a list that is not empty. */
  pick<const T>(list: readonly T[]): T
  /** Another source, whose draws hang on this one's, and change none of them. */
  fork(): Random
}

/** Mulberry32: one state of 32 bits, which is enough to distinguish histories. */
export function createRandom(seed: number): Random {
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const whole = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  return {
    next,
    whole,
    chance: (likelihood) => next() < likelihood,
    pick(list) {
      const [first] = list
      const picked = list[whole(0, list.length - 1)] ?? first
      if (picked === undefined) throw new RangeError('there is nothing to pick from')
      return picked
    },
    fork: () => createRandom(whole(0, 2 ** 31)),
  }
}

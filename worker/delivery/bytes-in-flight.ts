/**
 * How many bytes of pushes and answers an instance holds: a push takes its room as its body arrives, so that one that
 * stalls holds no more than what came of it, and that of its job's answer before it is asked for.
 */
export interface BytesInFlight {
  /** Admits a push of so many bytes, or gives undefined where they do not fit now. Alone, a push fits however long it is. */
  admit(bytes: number): Reservation | undefined
  /** How many bytes are taken now. */
  reserved(): number
}

export interface Reservation {
  /** Takes room for more of the push, or gives false where there is none now. */
  grow(bytes: number): boolean
  /**
   * Takes room for an answer, once, or gives false where there is none now. Alone, an answer fits however long it is:
   * pushes that have not come so far do not count, or many at once would keep each other out for ever.
   */
  takeAnswer(bytes: number): boolean
  /** Gives back all of it; a second time does nothing. */
  release(): void
}

export function createBytesInFlight(maxBytes: number): BytesInFlight {
  let taken = 0
  const answered = new Set<Reservation>()
  const fits = (bytes: number, others: number) => others === 0 || taken + bytes <= maxBytes
  return {
    admit(bytes) {
      if (!fits(bytes, taken)) return undefined
      let held = 0
      function take(bytes: number): void {
        held += bytes
        taken += bytes
      }
      const reservation: Reservation = {
        grow(more) {
          if (!fits(more, taken - held)) return false
          take(more)
          return true
        },
        takeAnswer(more) {
          if (!fits(more, answered.size)) return false
          answered.add(reservation)
          take(more)
          return true
        },
        release() {
          answered.delete(reservation)
          take(-held)
        },
      }
      return reservation
    },
    reserved: () => taken,
  }
}

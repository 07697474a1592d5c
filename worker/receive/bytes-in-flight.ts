/**
 * How many bytes of pushes and answers an instance holds: a push takes its room before its body is read, and that of its
 * job's answer before it is asked for.
 */
export interface BytesInFlight {
  /** Takes room for a push, or gives undefined where there is none now. Alone, a push fits however long it is. */
  reserve(bytes: number): Reservation | undefined
  /** How many bytes are taken now. */
  reserved(): number
}

export interface Reservation {
  /**
   * Takes room for an answer, once, or gives false where there is none now. Alone, an answer fits however long it is:
   * pushes that have not come so far do not count, or many at once would keep each other out for ever.
   */
  takeAnswer(bytes: number): boolean
  /** Gives back what was taken beyond so many bytes. */
  shrinkTo(bytes: number): void
  /** Gives back the rest; a second time does nothing. */
  release(): void
}

export function createBytesInFlight(maxBytes: number): BytesInFlight {
  let taken = 0
  const answered = new Set<Reservation>()
  return {
    reserve(bytes) {
      if (taken > 0 && taken + bytes > maxBytes) return undefined
      let held = bytes
      taken += held
      const reservation: Reservation = {
        takeAnswer(more) {
          if (answered.size > 0 && taken + more > maxBytes) return false
          answered.add(reservation)
          held += more
          taken += more
          return true
        },
        shrinkTo(left) {
          const back = Math.max(0, held - left)
          held -= back
          taken -= back
        },
        release() {
          answered.delete(reservation)
          reservation.shrinkTo(0)
        },
      }
      return reservation
    },
    reserved: () => taken,
  }
}

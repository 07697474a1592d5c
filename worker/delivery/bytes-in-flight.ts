/**
 * Limits the bytes of pushes and answers that an instance holds. A push reserves room as its body arrives, so that a stalled
 * push holds only the bytes that arrived. Room for the answer is reserved before the model is asked.
 */
export interface BytesInFlight {
  /** Admits a push of `bytes` bytes; undefined if they do not fit now. A push of any length fits if there is no other. */
  admit(bytes: number): Reservation | undefined
  /** How many bytes are reserved now. */
  reserved(): number
}

export interface Reservation {
  /** Reserves room for more of the push. Returns false if there is none now. */
  grow(bytes: number): boolean
  /**
   * Reserves room for an answer, once. Returns false if there is none now. An answer of any length fits if there is no other
   * answer: if pushes counted too, many pushes could block each other for ever.
   */
  takeAnswer(bytes: number): boolean
  /** Releases all of it. A second call does nothing. */
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

/** How many bytes of pushes an instance holds; each push takes its room before its body is read. */
export interface BytesInFlight {
  /** Takes room for a push, or gives undefined where there is none now. Alone, a push fits however long it is. */
  reserve(bytes: number): Reservation | undefined
  /** How many bytes are taken now. */
  reserved(): number
}

export interface Reservation {
  /** Gives back what was taken beyond so many bytes. */
  shrinkTo(bytes: number): void
  /** Gives back the rest; a second time does nothing. */
  release(): void
}

export function createBytesInFlight(maxBytes: number): BytesInFlight {
  let taken = 0
  return {
    reserve(bytes) {
      if (taken > 0 && taken + bytes > maxBytes) return undefined
      let held = bytes
      taken += held
      const shrinkTo = (left: number) => {
        const back = Math.max(0, held - left)
        held -= back
        taken -= back
      }
      return { shrinkTo, release: () => shrinkTo(0) }
    },
    reserved: () => taken,
  }
}

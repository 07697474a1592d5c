const RealDate = Date

/**
 * Lets this process believe that so many milliseconds more have passed; at 0 its clock is the real one.
 *
 * Microsoft's libraries take no clock as an argument, and read no other than Date.
 */
export function moveClock(aheadMs: number): void {
  globalThis.Date = aheadMs === 0 ? RealDate : dateAhead(aheadMs)
}

function dateAhead(aheadMs: number): DateConstructor {
  const now = () => RealDate.now() + aheadMs
  return new Proxy(RealDate, {
    get: (real, key) => (key === 'now' ? now : Reflect.get(real, key)),
    construct: (real, values, made) => Reflect.construct(real, values.length === 0 ? [now()] : values, made),
  })
}

/** A minute of the limits takes 10 s, with all their windows. */
export const MINUTE_MS = 10_000
/** What everything else that is measured in minutes is divided by. */
export const SCALE = 60_000 / MINUTE_MS

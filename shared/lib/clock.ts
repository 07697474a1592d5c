/** Returns the time of the wall clock in epoch milliseconds. It may be set back. */
export type Clock = () => number

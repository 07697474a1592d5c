/** An instant for people, in UTC and to the second. `at`: epoch milliseconds. */
export function instant(at: number | Date): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')
}

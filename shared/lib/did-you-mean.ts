/** Longer names are not compared, because they are not typing mistakes and comparing them takes time. */
const MAX_LENGTH = 64

/** Finds the name with the fewest edits, if these are at most a quarter of the longer name. */
export function closestName(given: string, names: readonly string[]): string | undefined {
  if (given.length > MAX_LENGTH) return undefined
  const [closest] = names
    .map((name) => ({ name, edits: edits(given.toUpperCase(), name.toUpperCase()) }))
    .filter(({ name, edits: found }) => found <= Math.max(1, Math.floor(Math.max(given.length, name.length) / 4)))
    .toSorted((a, b) => a.edits - b.edits)
  return closest?.name
}

/** The number of characters to add, drop, change or swap with the next to convert one text to the other. */
function edits(from: string, to: string): number {
  let before: number[] = []
  let row = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= to.length; j += 1) {
      const changed = at(row, j - 1) + (from[i - 1] === to[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      const swapped = isSwap ? at(before, j - 2) + 1 : changed
      next.push(Math.min(at(row, j) + 1, at(next, j - 1) + 1, changed, swapped))
    }
    before = row
    row = next
  }
  return at(row, to.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}

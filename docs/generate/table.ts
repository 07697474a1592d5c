/** A table with these names of columns; empty where there are no rows. A cell is one line, and a bar would end it. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [columns, columns.map(() => '---'), ...rows]
  const cellsOf = (cells: readonly string[]) => cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')
  return rows.length === 0 ? '' : lines.map((cells) => `| ${cellsOf(cells)} |\n`).join('')
}

/** What a terminal shows at one time. */
export interface Screen {
  /** Says when, in a few words. */
  readonly caption: string
  readonly lines: readonly string[]
}

/** In characters. */
export const COLUMNS = 96

const [LINE_HEIGHT, FONT_SIZE, CHARACTER, MARGIN] = [19, 14, 8.43, 16]
const FONT = `ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace`
const COLOURS = { back: '#14181f', caption: '#8b96a5', text: '#e4e8ee', bar: '#5fb3a1', prompt: '#e0b264' }

/** Draws screens one below the other, as an SVG image of fixed width. `title` is read aloud where the image is not seen. */
export function drawScreens(title: string, screens: readonly Screen[]): string {
  const width = Math.ceil(COLUMNS * CHARACTER) + 2 * MARGIN
  const rows = screens.flatMap(({ caption, lines }, n) => [
    ...(n > 0 ? [''] : []),
    `# ${caption}`,
    ...lines.slice(0, lines.findLastIndex((line) => line !== '') + 1),
  ])
  const height = rows.length * LINE_HEIGHT + 2 * MARGIN
  const texts = rows.flatMap((row, n) => {
    const y = MARGIN + n * LINE_HEIGHT + FONT_SIZE
    // With a length, columns stay below each other in every font.
    const length = Math.round(row.length * CHARACTER)
    return row === '' ? [] : [`  <text x="${MARGIN}" y="${y}" textLength="${length}">${coloured(row)}</text>`]
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" rx="8" fill="${COLOURS.back}"/>`,
    `<g font-family="${FONT}" font-size="${FONT_SIZE}" fill="${COLOURS.text}" style="white-space: pre" xml:space="preserve">`,
    ...texts,
    '</g>',
    '</svg>',
    '',
  ].join('\n')
}

/** The lines of text in an image that `drawScreens` made. */
export function linesIn(svg: string): readonly string[] {
  return [...svg.matchAll(/<text[^>]*>(.*)<\/text>/g)].map(([, row = '']) =>
    row
      .replaceAll(/<[^>]*>/g, '')
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&amp;', '&'),
  )
}

function coloured(row: string): string {
  const inColour = (colour: string) => (text: string) => `<tspan fill="${colour}">${text}</tspan>`
  return escaped(row)
    .replace(/^# .*/, inColour(COLOURS.caption))
    .replace(/^\$ .*/, inColour(COLOURS.prompt))
    .replace(/[█░]+/, inColour(COLOURS.bar))
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

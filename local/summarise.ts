const SENTENCES_KEPT = 3
const FEWEST_WORDS = 5
const MOST_WORDS = 45
/** The summary of a text without sentences: its beginning. */
const FALLBACK_CHARACTERS = 240

const COMMON = new Set(
  'the and for that with this from are was were has have had not but you your our its can will would into than then they them which when what who how all any one may also use used using such more most other their there these those been being only over per via'.split(
    ' ',
  ),
)

/**
 * An extractive summary: the two or three sentences with the most frequent words of the document, in their order and
 * unchanged except for line breaks.
 *
 * Headings, code, badges, tables and lists of links of a Markdown document are skipped.
 */
export function summarise(document: string): string {
  const sentences = pickSentences(document)
  if (sentences.length > 0) return sentences.join(' ')
  return (readBlocks(document)[0] ?? document.trim()).slice(0, FALLBACK_CHARACTERS)
}

/** The sentences for a summary; empty if the document has none. */
export function pickSentences(document: string): readonly string[] {
  const sentences = readBlocks(document).flatMap(splitSentences)
  const frequency = countWords(sentences)
  const scored = sentences.map((text, at) => ({ text, at, score: scoreOf(text, at, frequency) }))
  const best = scored.filter(({ score }) => score > 0).toSorted((a, b) => b.score - a.score || a.at - b.at)
  const kept = best.slice(0, SENTENCES_KEPT).toSorted((a, b) => a.at - b.at)
  return kept.map(({ text }) => text)
}

/** Paragraphs: prose lines joined by spaces. Any other line ends a paragraph. */
function readBlocks(document: string): readonly string[] {
  const blocks: string[][] = [[]]
  let inCode = false
  for (const line of document.replace(INSTRUCTION, '').split('\n')) {
    const isFence = /^\s*(```|~~~)/.test(line)
    if (isFence) inCode = !inCode
    if (isFence || inCode || NO_PROSE.test(line)) {
      blocks.push([])
      continue
    }
    if (LIST_ITEM.test(line)) blocks.push([])
    blocks.at(-1)?.push(line.replace(LIST_ITEM, '').trim())
  }
  return blocks.map((lines) => lines.join(' ').replaceAll(/\s+/g, ' ').trim()).filter((block) => block !== '')
}

/** A line such as "Summarise this in two sentences:" belongs to the prompt, not to the document. */
const INSTRUCTION = /^\s*summari[sz]e\b[^:\n]{0,120}:\s*/i
/** Blank, heading, rule, table, indented code, HTML, badge, image, link definition, a lone link, a line that leads in. */
const NO_PROSE =
  /^\s*$|^\s*#|^\s*([-*_=]\s*){3,}$|^\s*\||^(\t| {4})|^\s*<[^>]*>|^\s*(\[?!\[.*)$|^\s*\[[^\]]+\]:|^\s*([-*+]|\d+\.)?\s*\[[^\]]*\]\([^)]*\)\s*$|:\s*$/
const LIST_ITEM = /^\s*([-*+>]|\d+[.)])\s+/

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' })

function splitSentences(block: string): readonly string[] {
  return [...segmenter.segment(block)]
    .map(({ segment }) => segment.trim())
    .filter((text) => /[.!?]["')\]]?$/.test(text))
}

function wordsOf(text: string): readonly string[] {
  const words = text.toLowerCase().match(/\p{L}{3,}/gu) ?? []
  return words.filter((word) => !COMMON.has(word))
}

function countWords(sentences: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const word of sentences.flatMap(wordsOf)) counts.set(word, (counts.get(word) ?? 0) + 1)
  return counts
}

/** The mean frequency of a sentence's words, a little higher for the first sentences; 0 if it is too short or too long. */
function scoreOf(sentence: string, at: number, frequency: ReadonlyMap<string, number>): number {
  const length = sentence.split(' ').length
  const words = wordsOf(sentence)
  if (length < FEWEST_WORDS || length > MOST_WORDS || words.length === 0) return 0
  const total = words.reduce((sum, word) => sum + (frequency.get(word) ?? 0), 0)
  return (total / words.length) * (1 + 1 / (at + 2))
}

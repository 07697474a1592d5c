/** Approximately right for English prose. The stand-ins need no exact tokenizer. */
const BYTES_PER_TOKEN = 4

export function estimateTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN)
}

/** The first tokens of a text, at most this many, cut between characters. */
export function cutToTokens(text: string, tokens: number): string {
  if (estimateTokens(text) <= tokens) return text
  const bytes = Buffer.from(text).subarray(0, tokens * BYTES_PER_TOKEN)
  // A character cut in two is held back by a streaming decoder.
  return new TextDecoder().decode(bytes, { stream: true })
}

/** About right for English prose; the stand-ins need a rule, not a tokenizer. */
const BYTES_PER_TOKEN = 4

export function estimateTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN)
}

/** The beginning of a text, at most so many tokens long, cut between characters. */
export function cutToTokens(text: string, tokens: number): string {
  if (estimateTokens(text) <= tokens) return text
  const bytes = Buffer.from(text).subarray(0, tokens * BYTES_PER_TOKEN)
  // A character cut in two is held back by a streaming decoder.
  return new TextDecoder().decode(bytes, { stream: true })
}

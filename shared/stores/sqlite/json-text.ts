import { z } from 'zod'

/** A text of JSON, and what it says. */
export const jsonText = z.string().transform(parseJson)

/** The parser's own error quotes the text, which may be an answer. */
function parseJson(text: string, context: z.core.$RefinementCtx): unknown {
  try {
    return JSON.parse(text)
  } catch {
    context.addIssue('is not JSON')
    return z.NEVER
  }
}

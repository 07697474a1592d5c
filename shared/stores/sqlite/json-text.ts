import { z } from 'zod'

/** A schema that parses a JSON text. */
export const jsonText = z.string().transform(parseJson)

/** The parser's error message quotes the text, which may be an answer. */
function parseJson(text: string, context: z.core.$RefinementCtx): unknown {
  try {
    return JSON.parse(text)
  } catch {
    context.addIssue('is not JSON')
    return z.NEVER
  }
}

import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type ModelOperation, readBody, type Work } from './model-operation.ts'

/** The dimensions of the real model. A request can ask for fewer. */
const MOST_DIMENSIONS = 1_536

const tokens = z.array(z.int()).min(1)
const bodySchema = z.object({
  model: z.string().min(1),
  input: z.union([
    z
      .string()
      .min(1)
      .transform((text) => [text]),
    tokens.transform((one) => [one.join(' ')]),
    z
      .array(z.union([z.string().min(1), tokens.transform((one) => one.join(' '))]))
      .min(1)
      .max(2_048),
  ]),
  dimensions: z.int().min(1).max(MOST_DIMENSIONS).default(MOST_DIMENSIONS),
  encoding_format: z.enum(['float', 'base64']).default('float'),
})

/** `POST /embeddings`: texts with common words get similar vectors. */
export const embeddings: ModelOperation = {
  name: 'Embeddings_Create',
  verb: 'embeddings',
  path: '/embeddings',
  needs: 'embeddings',
  isUnderDeployment: true,
  since: '2023-05-15',
  read: (body) =>
    readBody(bodySchema, body, (asked) => ({
      model: asked.model,
      prompt: asked.input.join('\n'),
      maxOutputTokens: 0,
      work: () => work(asked),
    })),
}

function work({ input, dimensions, encoding_format }: z.output<typeof bodySchema>): Work {
  const data = input.map((text, index) => {
    const vector = embed(text, dimensions)
    return { object: 'embedding', index, embedding: encoding_format === 'base64' ? toBase64(vector) : [...vector] }
  })
  return {
    outputTokens: 0,
    finish: 'stop',
    answer: ({ model, promptTokens }) => ({
      object: 'list',
      data,
      model,
      usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
    }),
  }
}

/** A vector of length 1 without zeros: the normalized sum of the vectors of its words, which are derived from their hashes. */
function embed(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions)
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [text]) {
    const drawn = createHash('shake256', { outputLength: dimensions }).update(word).digest()
    for (const [at, byte] of drawn.entries()) vector[at] = (vector[at] ?? 0) + byte - 127.5
  }
  const length = Math.hypot(...vector)
  // The vectors of the words may sum to zero.
  if (length === 0) vector[0] = 1
  return length === 0 ? vector : vector.map((value) => value / length)
}

/** Little-endian floats of four bytes each. */
function toBase64(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4)
  return bytes.toString('base64')
}

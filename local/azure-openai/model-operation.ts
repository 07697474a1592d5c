/** A request that could be read. */
export interface Asked {
  readonly kind: 'asked'
  readonly model: string
  /** All text of the request: what is counted and filtered. */
  readonly prompt: string
  /** The text that the model works on. */
  readonly subject: string
  readonly maxOutputTokens: number | undefined
}

interface Malformed {
  readonly kind: 'malformed'
  readonly problem: string
  readonly param: string
}

/** What the model came up with. */
export interface Work {
  readonly text: string
  readonly outputTokens: number
  readonly finish: 'stop' | 'length'
}

interface Labels {
  readonly id: string
  readonly model: string
  readonly nowMs: number
}

/** One of the API's operations; who may call it, quotas and the bill are the server's business. */
export interface ModelOperation {
  /** Azure's name for it, as its error messages say it. */
  readonly name: string
  readonly path: string
  read(body: unknown): Asked | Malformed
  work(asked: Asked): Work
  answer(work: Work & { readonly promptTokens: number }, labels: Labels): object
}

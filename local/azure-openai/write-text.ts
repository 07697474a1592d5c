import { z } from 'zod'
import { summarise } from '../summarise.ts'
import { fitSchema } from './fit-schema.ts'
import { cutToTokens, estimateTokens } from './tokens.ts'

/** What the model writes about a text: a summary, JSON that fits a schema, or the arguments of a tool. */
export interface Writing {
  readonly subject: string
  readonly schema: unknown
  readonly tool: Tool | undefined
  readonly maxOutputTokens: number | undefined
}

export interface Written {
  readonly text: string
  /** The name of the tool whose arguments the text is. */
  readonly tool: string | undefined
  readonly outputTokens: number
  readonly finish: 'stop' | 'length' | 'tool_calls'
}

export function writeText({ subject, schema, tool, maxOutputTokens }: Writing): Written {
  const wanted = tool?.parameters ?? schema
  const summary = summarise(subject)
  const whole = wanted === undefined ? summary : JSON.stringify(fitSchema(wanted, summary))
  const text = maxOutputTokens === undefined ? whole : cutToTokens(whole, maxOutputTokens)
  const finish = tool === undefined ? 'stop' : 'tool_calls'
  return {
    text,
    tool: tool?.name,
    outputTokens: estimateTokens(text),
    finish: text === whole ? finish : 'length',
  }
}

export const toolSchema = z.looseObject({ name: z.string(), parameters: z.unknown().default({ type: 'object' }) })
export type Tool = z.output<typeof toolSchema>

/** The tool to call: the named one, the first one if a tool is required, otherwise none. */
export function chooseTool(tools: readonly Tool[], choice: { readonly name: string } | string | null | undefined) {
  if (choice === 'required') return tools[0]
  if (choice === null || typeof choice !== 'object') return undefined
  return tools.find(({ name }) => name === choice.name)
}

/** The JSON object for requests without a schema. */
export const ANY_OBJECT = { type: 'object', properties: { text: { type: 'string' } } } as const

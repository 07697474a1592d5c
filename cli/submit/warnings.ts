import type { ModelUse } from './model-use.ts'

/** What serves jobs, as far as this command knows it. */
export interface Served {
  /** The models that a deployment serves; undefined if that is not known here. */
  readonly models: readonly string[] | undefined
  /** The most output tokens that a job may ask for. */
  readonly maxOutputTokens: number
}

/** Models that refuse `max_tokens`: https://learn.microsoft.com/azure/ai-foundry/openai/how-to/reasoning */
const REASONING = /^(gpt-5(?!-chat)|o\d)/i

/** Jobs that will fail as they are, a line for each reason and model. */
export function warningsOf(
  models: ReadonlyMap<string, ModelUse>,
  { models: served, maxOutputTokens }: Served,
): readonly string[] {
  return [...models].flatMap(([model, { jobs, withMaxTokens, largestCap }]) => {
    const isServed = model === '' || served === undefined || served.includes(model)
    return [
      ...(isServed ? [] : [`${jobs} jobs ask for ${model}, which no deployment serves (${list(served)})`]),
      ...(largestCap > maxOutputTokens
        ? [`a job for ${name(model)} asks for ${largestCap} output tokens; MAX_OUTPUT_TOKENS allows ${maxOutputTokens}`]
        : []),
      ...(REASONING.test(model) && withMaxTokens > 0
        ? [`${withMaxTokens} jobs for ${model} set max_tokens, which this model refuses; set max_completion_tokens`]
        : []),
    ]
  })
}

function name(model: string): string {
  return model === '' ? 'the default model' : model
}

function list(names: readonly string[] | undefined = []): string {
  return names.length === 0 ? 'there is none' : `there are ${names.join(', ')}`
}

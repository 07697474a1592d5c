/** Tokens of request and answer together, as Azure OpenAI documents them. */
const WINDOWS: Readonly<Record<string, number>> = {
  'gpt-35-turbo': 16_385,
  'gpt-4': 8_192,
  'gpt-4-32k': 32_768,
  'gpt-4-turbo': 128_000,
  'gpt-4o': 128_000,
  'gpt-4o-mini': 128_000,
  'gpt-4.1': 1_047_576,
  'gpt-4.1-mini': 1_047_576,
  'gpt-4.1-nano': 1_047_576,
  'gpt-5': 400_000,
  'gpt-5-mini': 400_000,
  'gpt-5-nano': 400_000,
  'gpt-5-chat': 128_000,
  o1: 200_000,
  o3: 200_000,
  'o3-mini': 200_000,
  'o4-mini': 200_000,
}

const VERSION = /-\d{4}-\d{2}-\d{2}$/

/** How many tokens a model reads and writes in one request. Undefined if that is not known: a deployment may have any name. */
export function contextWindow(model: string | undefined): number | undefined {
  const name = (model ?? '').toLowerCase().replace(VERSION, '')
  return Object.hasOwn(WINDOWS, name) ? WINDOWS[name] : undefined
}

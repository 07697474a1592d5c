/** How many tokens a model reads in one request. */
export interface ContextWindow {
  readonly input: number
  /** Whether the answer takes its tokens from the same number. */
  readonly isShared: boolean
  /** What every kind of deployment of the model reads, where some read less. */
  readonly always: number
}

const shared = (tokens: number): ContextWindow => ({ input: tokens, isShared: true, always: tokens })
const inputOf = (tokens: number): ContextWindow => ({ input: tokens, isShared: false, always: tokens })
/** 128,000 on provisioned and batch deployments, 300,000 on standard ones. */
const GPT_41: ContextWindow = { input: 1_047_576, isShared: true, always: 128_000 }

/** By Azure's page of 2026-06-11: https://learn.microsoft.com/azure/ai-foundry/foundry-models/concepts/models-sold-directly-by-azure */
const WINDOWS: Readonly<Record<string, ContextWindow>> = {
  'gpt-35-turbo': shared(16_385),
  'gpt-4': shared(8_192),
  'gpt-4-32k': shared(32_768),
  'gpt-4-turbo': shared(128_000),
  'gpt-4o': shared(128_000),
  'gpt-4o-mini': shared(128_000),
  'gpt-4.1': GPT_41,
  'gpt-4.1-mini': GPT_41,
  'gpt-4.1-nano': GPT_41,
  'gpt-5': inputOf(272_000),
  'gpt-5-mini': inputOf(272_000),
  'gpt-5-nano': inputOf(272_000),
  'gpt-5-chat': shared(128_000),
  'gpt-5.1': inputOf(272_000),
  'gpt-5.2': inputOf(272_000),
  'gpt-5.4': inputOf(922_000),
  'gpt-5.4-mini': inputOf(272_000),
  'gpt-5.4-nano': inputOf(272_000),
  'gpt-5.5': inputOf(922_000),
  o1: inputOf(200_000),
  o3: inputOf(200_000),
  'o3-mini': inputOf(200_000),
  'o4-mini': inputOf(200_000),
}

const VERSION = /-\d{4}-\d{2}-\d{2}$/

/** The window of a model. Undefined if it is not known: a deployment may have any name. */
export function contextWindow(model: string | undefined): ContextWindow | undefined {
  const name = (model ?? '').toLowerCase().replace(VERSION, '')
  return Object.hasOwn(WINDOWS, name) ? WINDOWS[name] : undefined
}

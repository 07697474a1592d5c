import type { Job, JobUrl } from './job.ts'

/*
 * The body contains the whole job, and the reply contains the whole answer. A field that makes the provider fetch, run,
 * store or read something else, or bill another price, is refused unless the operator allows it. So is an unknown field.
 */

/** Fields that only shape the answer. The others have to be allowed, unless they are null. */
const shaping: Readonly<Record<JobUrl, ReadonlySet<string>>> = {
  '/v1/chat/completions': new Set([
    ...['model', 'messages', 'tools', 'tool_choice', 'parallel_tool_calls', 'functions', 'function_call'],
    ...['max_completion_tokens', 'max_tokens', 'n', 'stop', 'temperature', 'top_p', 'seed', 'reasoning_effort'],
    ...['frequency_penalty', 'presence_penalty', 'logit_bias', 'logprobs', 'top_logprobs', 'response_format'],
    ...['verbosity', 'modalities', 'audio', 'prediction', 'moderation', 'metadata', 'user', 'safety_identifier'],
    ...['prompt_cache_key', 'stream_options', 'user_security_context'],
  ]),
  '/v1/responses': new Set([
    ...['model', 'input', 'instructions', 'tools', 'tool_choice', 'parallel_tool_calls', 'max_tool_calls'],
    ...['max_output_tokens', 'temperature', 'top_p', 'top_logprobs', 'reasoning', 'text', 'include', 'truncation'],
    ...['image', 'moderation', 'metadata', 'user', 'safety_identifier', 'prompt_cache_key', 'stream_options'],
  ]),
  '/v1/embeddings': new Set(['model', 'input', 'dimensions', 'encoding_format', 'user']),
}

/** Values that need no permission, of fields that otherwise need it. */
const IDLE: Readonly<Record<string, readonly unknown[]>> = {
  store: [false],
  stream: [false],
  background: [false],
  service_tier: ['auto', 'default'],
  prompt_cache_retention: ['in_memory'],
}

/** Tools that the provider does not run. The answer only contains the model's call. */
const LOCAL_TOOLS: readonly unknown[] = [undefined, 'function', 'custom']
/** Items that contain their content instead of a reference. */
const LOCAL_ITEMS: readonly unknown[] = [
  ...[undefined, 'message', 'reasoning', 'compaction'],
  ...['function_call', 'function_call_output', 'custom_tool_call', 'custom_tool_call_output'],
]
/** Fields of a message's parts that name something that the provider stores. */
const STORED = ['file_id', 'container_id']

const under = (group: string, names: readonly string[]) => names.map((name) => `${group}.${name}`)

/**
 * The names that the setting accepts. A group name, such as `tools`, allows all names of the group. `other.NAME` allows a
 * field, a tool or an item that this version does not know, and `other` allows all of these.
 */
export const bodyFieldNames: readonly string[] = [
  ...['data_sources', 'web_search_options', 'previous_response_id', 'conversation', 'prompt', 'store'],
  ...['prompt_cache_retention', 'prompt_cache_options', 'context_management', 'access_programs'],
  ...['image_url', 'file_url', ...STORED, 'audio.id'],
  ...['service_tier', ...under('service_tier', ['flex', 'priority', 'fast', 'ultrafast', 'scale'])],
  'tools',
  ...under('tools', ['mcp', 'code_interpreter', 'file_search', 'image_generation', 'computer', 'computer_use_preview']),
  ...under('tools', ['web_search', 'web_search_2025_08_26', 'web_search_preview', 'web_search_preview_2025_03_11']),
  ...under('tools', ['shell', 'local_shell', 'apply_patch', 'namespace', 'tool_search', 'programmatic_tool_calling']),
  'input',
  ...under('input', ['item_reference', 'mcp_list_tools', 'mcp_call', 'mcp_approval_request', 'mcp_approval_response']),
  ...under('input', ['web_search_call', 'file_search_call', 'code_interpreter_call', 'image_generation_call']),
  ...under('input', ['computer_call', 'computer_call_output', 'tool_search_call', 'tool_search_output']),
  ...under('input', ['shell_call', 'shell_call_output', 'local_shell_call', 'local_shell_call_output']),
  ...under('input', ['apply_patch_call', 'apply_patch_call_output', 'additional_tools', 'configuration_update']),
  ...under('input', ['compaction_trigger', 'program', 'program_output']),
  'other',
]

const known: ReadonlySet<string> = new Set(bodyFieldNames)

/** Returns the setting names of everything in the body that is not allowed, without duplicates. */
export function findForbidden({ url, body }: Pick<Job, 'url' | 'body'>, allowed: readonly string[]): readonly string[] {
  const found = new Set<string>()
  for (const [name, value] of Object.entries(body)) {
    if (!isShaping(url, name, value)) found.add(nameOfField(name, value))
  }
  addTools(body['tools'], found)
  if (url === '/v1/responses') addItems(body['input'], found)
  // The input of embeddings is text or a long list of numbers.
  if (url !== '/v1/embeddings') addParts([body['messages'], body['input'], body['instructions']], found)
  return [...found].filter((name) => !isAllowed(name, allowed)).map(nameInSetting)
}

/** A field of the name of a group, such as the `input` of a chat, is one that the request does not have. */
function nameOfField(name: string, value: unknown): string {
  if (name === 'service_tier') return `${name}.${nameOf(value)}`
  return name === 'tools' || name === 'input' ? `other.${name}` : name
}

/** The name by which the setting allows something. */
function nameInSetting(name: string): string {
  return known.has(name) || name.startsWith('other.') ? name : `other.${name}`
}

function isAllowed(name: string, allowed: readonly string[]): boolean {
  const inSetting = nameInSetting(name)
  return allowed.some((each) => isUnder(name, each) || isUnder(inSetting, each))
}

function isUnder(name: string, group: string): boolean {
  return name.startsWith(group) && (name.length === group.length || name[group.length] === '.')
}

function isShaping(url: JobUrl, name: string, value: unknown): boolean {
  if (value === null || value === undefined || shaping[url].has(name)) return true
  return Object.hasOwn(IDLE, name) && (IDLE[name] ?? []).includes(value)
}

/** A tool may hold others: a namespace. */
function addTools(tools: unknown, found: Set<string>): void {
  for (const tool of membersOf(tools)) {
    const type = fieldOf(tool, 'type')
    if (!LOCAL_TOOLS.includes(type)) found.add(`tools.${nameOf(type)}`)
    addTools(fieldOf(tool, 'tools'), found)
  }
}

function addItems(items: unknown, found: Set<string>): void {
  for (const item of membersOf(items)) {
    const type = fieldOf(item, 'type')
    if (!LOCAL_ITEMS.includes(type)) found.add(`input.${nameOf(type)}`)
  }
}

/** At any depth of messages and items. */
function addParts(value: unknown, found: Set<string>): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const inner of value) addParts(inner, found)
    return
  }
  for (const [name, inner] of Object.entries(value)) {
    if (inner === null) continue
    if (name.endsWith('_url') && !isInline(inner) && !isInline(fieldOf(inner, 'url'))) found.add(name)
    if (name === 'audio' && fieldOf(inner, 'id') !== undefined) found.add('audio.id')
    if (name === 'tools') addTools(inner, found)
    if (STORED.includes(name)) found.add(name)
    addParts(inner, found)
  }
}

/** A data URL contains its content. */
function isInline(url: unknown): boolean {
  return typeof url === 'string' && /^data:/i.test(url)
}

function nameOf(value: unknown): string {
  return typeof value === 'string' ? value : 'unknown'
}

function membersOf(value: unknown): readonly unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value) : []
}

/** A field that is null counts as absent. */
function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (Reflect.get(value, name) ?? undefined)
    : undefined
}

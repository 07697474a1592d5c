const body = JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion',
  created: 1_760_000_000,
  model: 'gpt-4o-mini-2024-07-18',
  choices: [
    {
      index: 0,
      finish_reason: 'stop',
      logprobs: null,
      message: { role: 'assistant', content: 'A summary. '.repeat(80), refusal: null, annotations: [] },
    },
  ],
  usage: { prompt_tokens: 250, completion_tokens: 160, total_tokens: 410 },
})

/** The same answer to every request, with the headers of a vast quota. */
export const ANSWER = {
  body,
  headers: {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'apim-request-id': 'a5e7f3b9-0000-4000-8000-000000000000',
    'x-ratelimit-limit-requests': '100000000',
    'x-ratelimit-remaining-requests': '99999999',
    'x-ratelimit-limit-tokens': '100000000000',
    'x-ratelimit-remaining-tokens': '99999999999',
  },
} as const

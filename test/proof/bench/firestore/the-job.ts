/** The emulator creates any project that a request names. */
export const PROJECT = 'bench'

/** An answer of about a thousand bytes, as a summary has. */
export const ANSWER = JSON.stringify({
  choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'A summary. '.repeat(80) } }],
  usage: { prompt_tokens: 11, completion_tokens: 7 },
})

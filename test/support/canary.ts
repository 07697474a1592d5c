/** Stands in a prompt, and so in the answer, which quotes it. */
export const CANARY = 'canary-5e1f'

/** Whether a text holds the canary of a prompt, or anything that looks like a token. */
export function isSecret(text: string): boolean {
  return text.includes(CANARY) || /eyJ[\w-]{10,}\.|ya29\.\w|Bearer [\w-]{8,}/.test(text)
}

import type { LocalSystem } from '../local-system.ts'

/** The faults of a demo. All rates and counts are small. */
const FAULTS = {
  push: [{ kind: 'duplicate', rate: 0.05 }],
  entra: [{ kind: 'status', error: 'temporarily_unavailable', every: 2, match: '/token' }],
  azure: [
    { kind: 'status', error: 'call_rate_limit', every: 19, headers: { 'retry-after-ms': '150' } },
    { kind: 'status', error: 'server_error', every: 31 },
    { kind: 'reset', after: 'half-body', every: 43 },
    { kind: 'status', error: 'unauthorized', times: 1, match: '/chat' },
  ],
} as const

export async function placeFaults({ control }: LocalSystem): Promise<void> {
  const { push, entra, azure } = FAULTS
  for (const fault of push) await place(control.push, fault)
  for (const fault of azure) await place(control.azure, fault)
  for (const fault of entra) await place(control.entra, fault)
}

async function place(url: string, fault: object): Promise<void> {
  const answer = await fetch(`${url}/__faults`, { method: 'POST', body: JSON.stringify(fault) })
  if (answer.status !== 201) throw new Error(`the stand-in rejected a fault: ${await answer.text()}`)
}

import { withDeadline } from '../../shared/lib/with-deadline.ts'

/** What one step of the way found. `ok`: null where it does not apply, or could not be taken; with `fix`: a warning. */
export interface Step {
  readonly step: string
  readonly ok: boolean | null
  readonly seen: string
  readonly expected: string | null
  /** How to fix it, one thing a line. */
  readonly fix: string | null
}

/** What a check found, and with it what the next ones need. */
export type Finding<T = undefined> =
  | { readonly ok: true; readonly seen: string; readonly expected?: string; readonly value: T }
  | { readonly ok: false; readonly seen: string; readonly expected: string; readonly fix: string; readonly value?: T }
  | { readonly ok: null; readonly seen: string; readonly expected?: string; readonly fix?: string; readonly value?: T }

/** Takes the steps one after the other, and tells each as soon as it is known. */
export interface Walk {
  /** Resolves with what the check found for others. A check that is not done in time, or breaks, has failed. */
  take<T>(step: string, check: (signal: AbortSignal) => Promise<Finding<T>>): Promise<T | undefined>
  tell(step: string, finding: Finding<unknown>): void
  readonly steps: readonly Step[]
}

/** More than any of our calls is given: an exchange, the Azure CLI. */
const STEP_TIMEOUT_MS = 15_000

export function startWalk(onStep: (step: Step) => void, timeoutMs = STEP_TIMEOUT_MS): Walk {
  const steps: Step[] = []

  function tell(step: string, finding: Finding<unknown>): void {
    const { ok, seen } = finding
    const expected = 'expected' in finding ? (finding.expected ?? null) : null
    const fix = 'fix' in finding ? (finding.fix ?? null) : null
    const told = { step, ok, seen, expected, fix }
    steps.push(told)
    onStep(told)
  }

  return {
    steps,
    tell,
    async take(step, check) {
      try {
        const finding = await withDeadline(timeoutMs, check)
        tell(step, finding)
        return finding.value
      } catch (error) {
        tell(step, broken(error, timeoutMs))
        return undefined
      }
    },
  }
}

/** The text of an unexpected error may contain anything, so it is not printed. */
function broken(error: unknown, timeoutMs: number): Finding {
  const isLate = error instanceof DOMException && error.name === 'TimeoutError'
  return {
    ok: false,
    seen: isLate ? `no answer within ${timeoutMs / 1_000} s` : `the check itself failed: ${nameOf(error)}`,
    expected: 'an answer',
    fix: isLate
      ? "Check this machine's way to the service: the network, a proxy, a firewall."
      : 'Run it again; if it lasts, report it.',
  }
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'an unknown error'
  return 'code' in error && typeof error.code === 'string' ? `${error.name} ${error.code}` : error.name
}

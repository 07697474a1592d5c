import { withDeadline } from '../../shared/lib/with-deadline.ts'

/** The result of one check. `ok`: null when it does not apply or could not be made; with `fix`, it is a warning. */
export interface Step {
  readonly step: string
  readonly ok: boolean | null
  readonly seen: string
  readonly expected: string | null
  /** How to fix it, one action on each line. */
  readonly fix: string | null
}

/** The result of a check, and the value that the next checks need. */
export type Finding<T = undefined> =
  | { readonly ok: true; readonly seen: string; readonly expected?: string; readonly value: T }
  | { readonly ok: false; readonly seen: string; readonly expected: string; readonly fix: string; readonly value?: T }
  | { readonly ok: null; readonly seen: string; readonly expected?: string; readonly fix?: string; readonly value?: T }

/** Runs checks one after the other, and reports each as soon as its result is known. */
export interface Checks {
  /** Resolves with the value of the check. A check that throws or exceeds its deadline has failed. */
  run<T>(step: string, check: (signal: AbortSignal) => Promise<Finding<T>>): Promise<T | undefined>
  report(step: string, finding: Finding<unknown>): void
  readonly steps: readonly Step[]
}

/** Longer than the deadline of each single call, such as a token exchange or the Azure CLI. */
const STEP_TIMEOUT_MS = 15_000

export function startChecks(onStep: (step: Step) => void, timeoutMs = STEP_TIMEOUT_MS): Checks {
  const steps: Step[] = []

  function report(step: string, finding: Finding<unknown>): void {
    const { ok, seen } = finding
    const expected = 'expected' in finding ? (finding.expected ?? null) : null
    const fix = 'fix' in finding ? (finding.fix ?? null) : null
    const reported = { step, ok, seen, expected, fix }
    steps.push(reported)
    onStep(reported)
  }

  return {
    steps,
    report,
    async run(step, check) {
      try {
        const finding = await withDeadline(timeoutMs, check)
        report(step, finding)
        return finding.value
      } catch (error) {
        report(step, broken(error, timeoutMs))
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
      ? 'Check the connection from this machine to the service: the network, a proxy, a firewall.'
      : 'Run it again. If it fails again, report it.',
  }
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'an unknown error'
  return 'code' in error && typeof error.code === 'string' ? `${error.name} ${error.code}` : error.name
}

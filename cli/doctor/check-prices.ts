import { ConfigError } from '../../shared/config/config-error.ts'
import { readPrices } from '../../shared/config/prices.ts'
import type { Environment } from '../../shared/config/rules.ts'
import type { Checks, Finding } from './step.ts'

const STEP = 'prices'
const MAX_PROBLEMS = 20

/** Checks the file of PRICES_FILE, if there is one: a worker does not start with a wrong one, and no command estimates a cost. */
export async function checkPrices(
  checks: Checks,
  environment: Environment,
  service: string | undefined,
): Promise<void> {
  const path = environment['PRICES_FILE']
  if (!path?.trim()) return
  if (service === undefined) return void (await checks.run(STEP, async () => checkFile(path)))
  const seen = `PRICES_FILE of Cloud Run service ${service} is ${path}, a file of its image, which cannot be read from here`
  checks.report(STEP, { ok: null, seen })
}

function checkFile(path: string): Finding {
  try {
    readPrices(path)
    return { ok: true, seen: `${path} is a valid table`, value: undefined }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const { problems } = error
    return {
      ok: false,
      seen: `PRICES_FILE has ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}, so the worker would not start`,
      expected:
        'a file in the format that promptbridge prices --json prints, without overlapping dates; docs/prices.md explains it',
      fix: problems.slice(0, MAX_PROBLEMS).join('\n'),
    }
  }
}

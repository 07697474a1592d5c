import { type Config, ConfigError, readConfig, readStoresConfig, type StoresConfig } from '../../shared/config.ts'
import type { GivenSettings } from '../../shared/settings-file.ts'
import { type Environment, secretProblems, withoutSecrets } from '../../shared/settings-problems.ts'
import type { Finding } from './step.ts'

/** As much of the settings as can be worked with. */
export interface Usable {
  readonly config?: Config
  readonly stores?: StoresConfig
}

/** Settings to look at, and where they are from. */
export interface FoundSettings extends GivenSettings {
  readonly from: string
}

/** Reads the settings as the worker does, and lists every problem. */
export function checkSettings({ environment, fileProblems, from }: FoundSettings): Finding<Usable> {
  try {
    const config = readConfig(environment, fileProblems)
    const stores = readStoresConfig(environment)
    return { ok: true, seen: `${from}: nothing is missing, and nothing contradicts`, value: { config, stores } }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const { problems } = error
    const [harmless, all] = [fileProblems.length + secretProblems(environment).length, problems.length]
    return {
      ok: false,
      seen: `${from}: the worker would not start, ${all} ${all === 1 ? 'setting needs' : 'settings need'} attention`,
      expected: 'settings by which the worker starts; the README has a table of all of them',
      mend: problems.join('\n'),
      value: usable(withoutSecrets(environment), harmless === all),
    }
  }
}

/** Without its secrets, and what has no effect, the environment may be whole; else the stores at least may be known. */
function usable(environment: Environment, isWhole: boolean): Usable {
  const stores = readOr(() => readStoresConfig(environment))
  const config = isWhole ? readOr(() => readConfig(environment)) : undefined
  return { ...(stores !== undefined && { stores }), ...(config !== undefined && { config }) }
}

function readOr<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof ConfigError) return undefined
    throw error
  }
}

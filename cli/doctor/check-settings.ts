import {
  type Config,
  type FileOrigin,
  readConfig,
  readStoresConfig,
  type StoresConfig,
} from '../../shared/config/config.ts'
import { ConfigError } from '../../shared/config/config-error.ts'
import { type Environment, secretProblems, withoutSecrets } from '../../shared/config/rules.ts'
import { defined } from '../../shared/lib/defined.ts'
import type { Finding } from './step.ts'

/** The part of the settings that can be used. */
export interface Usable {
  readonly config?: Config
  readonly stores?: StoresConfig
}

/** The settings to check, and their source. */
export interface FoundSettings {
  readonly environment: Environment
  readonly file: FileOrigin
  readonly from: string
}

/** Reads the settings as the worker does, and lists every problem. */
export function checkSettings({ environment, file, from }: FoundSettings): Finding<Usable> {
  try {
    const config = readConfig(environment, file)
    const stores = readStoresConfig(environment)
    return { ok: true, seen: `${from}: complete and consistent`, value: { config, stores } }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const { problems } = error
    const [harmless, all] = [(file.fileProblems ?? []).length + secretProblems(environment).length, problems.length]
    return {
      ok: false,
      seen: `${from}: the worker would not start, ${all} ${all === 1 ? 'setting needs' : 'settings need'} attention`,
      expected: 'settings with which the worker starts; the README lists all settings',
      fix: problems.join('\n'),
      value: usable(withoutSecrets(environment), file, harmless === all),
    }
  }
}

/** Without secrets and settings that have no effect, the environment may be complete. If not, the stores may be known. */
function usable(environment: Environment, { fromFile = [] }: FileOrigin, isWhole: boolean): Usable {
  const stores = readOr(() => readStoresConfig(environment))
  const config = isWhole ? readOr(() => readConfig(environment, { fromFile })) : undefined
  return defined({ stores, config })
}

function readOr<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof ConfigError) return undefined
    throw error
  }
}

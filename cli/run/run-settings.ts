import { readConfig } from '../../shared/config/config.ts'
import { ConfigError } from '../../shared/config/config-error.ts'
import type { Environment } from '../../shared/config/rules.ts'
import { SETTINGS_FILE } from '../../shared/config/settings-file.ts'
import { TokenError } from '../../shared/identity/token-error.ts'
import { openTokenFetcher } from '../../shared/identity/token-fetcher.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { defined } from '../../shared/lib/defined.ts'
import { diagnose } from '../../shared/models/azure-openai/explain-refused-token.ts'
import { readSettings } from '../read-settings.ts'

/** The settings of a worker that runs beside its command, on one file of this machine. */
export interface WorkerSettings {
  readonly environment: Readonly<Record<string, string>>
  readonly config: ReturnType<typeof readConfig>
}

/**
 * Reads the settings of the caller's own Azure. `file`: of the records and messages.
 *
 * Without TOKEN_SOURCE and AZURE_CLIENT_ID, tokens are those of `az login`. Throws ConfigError, which says where to set them.
 */
export function readRunSettings(environment: Environment, file: string): WorkerSettings {
  const given = readSettings(environment)
  const { TOKEN_SOURCE, AZURE_CLIENT_ID } = given.environment
  const login = TOKEN_SOURCE || AZURE_CLIENT_ID ? {} : { TOKEN_SOURCE: 'azure-cli' }
  const settings = { ...given.environment, ...login, ...onThisMachine(file), PORT: '' }
  try {
    return { environment: defined(settings), config: readConfig(settings, given) }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const where = `Set them in the environment or in ${SETTINGS_FILE}, which promptbridge init writes. --demo needs none.`
    throw new ConfigError(error.problems, where)
  }
}

/** Settings that the caller may have for a worker elsewhere. An empty one counts as absent. */
export function onThisMachine(file: string): Readonly<Record<string, string>> {
  return { STORE: `sqlite:${file}`, HOST: '127.0.0.1', PUSH_AUTH: '' }
}

/** Gets a token once, so that a login that has expired is found before a job is sent. Rejects with the fix. */
export async function checkToken({ config }: WorkerSettings, now: Clock): Promise<void> {
  try {
    await openTokenFetcher(config, now)()
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    const { hint } = diagnose(error, config.federation)
    throw new Error(`${error.message}. ${hint}`, { cause: error })
  }
}

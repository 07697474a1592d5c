import { type GivenSettings, SETTINGS_FILE, withSettingsFile } from '../shared/settings-file.ts'
import type { Environment } from '../shared/settings-problems.ts'

/** Adds the settings file of the working directory, and says on standard error that it was read: it may not be the caller's own. */
export function readSettings(environment: Environment): GivenSettings {
  const given = withSettingsFile(environment, SETTINGS_FILE)
  if (given.isFileRead) process.stderr.write(`settings: ${SETTINGS_FILE}\n`)
  return given
}

import type { Environment } from '../shared/config/rules.ts'
import { type GivenSettings, SETTINGS_FILE, withSettingsFile } from '../shared/config/settings-file.ts'
import { printNote } from './print.ts'

/** Adds the settings file of the working directory. Prints its name on standard error, because the file may not be the caller's own. */
export function readSettings(environment: Environment): GivenSettings {
  const given = withSettingsFile(environment, SETTINGS_FILE)
  if (given.isFileRead) printNote(`settings: ${SETTINGS_FILE}`)
  return given
}

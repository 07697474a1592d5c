import { writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import { type DescribedSetting, describeSettings, settingSubjects } from '../shared/config/describe-settings.ts'
import { isOfTheEnvironment, SETTINGS_FILE } from '../shared/config/settings-file.ts'
import { PRIVATE_FILE } from '../shared/lib/private-files.ts'
import { MisuseError } from './exit-codes.ts'
import { addHelpEnding } from './help.ts'
import { print } from './print.ts'

/** What one machine needs to call a model with the login of its user, with the values that are known. */
const FOR_ONE_MACHINE: Readonly<Record<string, string>> = {
  TOKEN_SOURCE: 'azure-cli',
  AZURE_TENANT_ID: '',
  AZURE_OPENAI_ENDPOINT: '',
  AZURE_OPENAI_DEPLOYMENT: '',
}

const HEADER = `# Settings of Promptbridge. The environment of the process has priority over this file.
# To run prompts from this machine: run az login, fill in the lines below, and check them with promptbridge doctor.
`

/** `promptbridge init`: writes a settings file in which every setting is described. */
export function initCommand(): Command {
  const command = new Command('init').option('--force', 'replace the file if it exists')
  return addHelpEnding(command, {
    examples: [['promptbridge init', `write ${SETTINGS_FILE} in this folder`]],
    needsSettings: false,
  })
    .exitOverride()
    .action(async ({ force }: { force?: true }) => {
      await writeSettings(force ? 'w' : 'wx')
      print(`${SETTINGS_FILE} is written. Fill in its first lines, then run promptbridge doctor.\n`)
    })
}

async function writeSettings(flag: 'w' | 'wx'): Promise<void> {
  try {
    await writeFile(SETTINGS_FILE, settingsFile(), { flag, mode: PRIVATE_FILE })
  } catch (error) {
    const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST'
    throw isThere ? new MisuseError(`${SETTINGS_FILE} exists; --force replaces it`) : error
  }
}

/** The text of the file. Settings that only the environment of the process may set are left out. */
function settingsFile(): string {
  const all = describeSettings().filter(({ name }) => !isOfTheEnvironment(name))
  const needed = all.filter(({ name }) => name in FOR_ONE_MACHINE)
  const others = all.filter(({ name }) => !(name in FOR_ONE_MACHINE))
  const sections = settingSubjects.map((subject) => {
    const lines = others
      .filter((setting) => setting.subject === subject)
      .map((setting) => `${describe(setting)}#${line(setting)}`)
    return `\n# == ${subject} ==\n\n${lines.join('\n')}`
  })
  const first = needed.map(
    (setting) => `\n${describe(setting)}${line({ ...setting, defaultValue: FOR_ONE_MACHINE[setting.name] })}`,
  )
  return [HEADER, ...first, ...sections].join('')
}

function line({ name, defaultValue }: Pick<DescribedSetting, 'name' | 'defaultValue'>): string {
  return `${name}=${defaultValue ?? ''}\n`
}

function describe({ description, values, start }: DescribedSetting): string {
  return `# ${description}\n# Values: ${plain(values)}. Without it: ${plain(start)}.\n`
}

function plain(text: string): string {
  return text.replaceAll('`', '')
}

import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { closestName } from './did-you-mean.ts'
import { settings } from './settings.ts'
import { type Environment, isSecret, withoutBlanks } from './settings-problems.ts'

/** Read from the working directory when it is there; the environment wins over it. */
export const SETTINGS_FILE = 'promptbridge.env'

/** Settings, and what is wrong with the file that some of them are from: a line for each problem, without a value. */
export interface GivenSettings {
  readonly environment: Environment
  readonly fileProblems: readonly string[]
}

/** Beside the settings, what is read from wherever they are given: in the file, these have an effect too. */
const ALSO_READ = ['GCE_METADATA_HOST', 'FIRESTORE_EMULATOR_HOST', 'PUBSUB_EMULATOR_HOST', 'K_SERVICE', 'K_REVISION']
const KNOWN = [...Object.keys(settings.shape), ...ALSO_READ]

/** What Node, its libraries and the programs they start read from the process alone, most of it before any file is read. */
const OF_THE_PROCESS = [
  /^(NODE|SSL_CERT|OPENSSL|UV|GRPC|CLOUDSDK)_[A-Z0-9_]+$/,
  /^(HTTPS?|NO|ALL|GRPC)_PROXY$/i,
  /^(TZ|PATH|HOME|APPDATA|TMPDIR|LANG|DEBUG)$/,
  /^(GOOGLE_APPLICATION_CREDENTIALS|GOOGLE_CLOUD_QUOTA_PROJECT|GOOGLE_SDK_NODE_LOGGING|GCLOUD_PROJECT)$/,
  /^(GCE_METADATA_IP|METADATA_SERVER_DETECTION|DETECT_GCP_RETRIES|AZURE_CONFIG_DIR|AZURE_LOG_LEVEL)$/,
]

/** Adds the settings file, where there is one, to an environment. */
export function withSettingsFile(environment: Environment, path: string): GivenSettings {
  let text: string
  try {
    // Some editors begin a file with a byte order mark, which would be a part of the first name.
    text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '')
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return { environment, fileProblems: isAbsent ? [] : [`${path} cannot be read`] }
  }
  const given = parseEnv(text)
  const names = Object.keys(withoutBlanks(given))
  return {
    environment: { ...given, ...withoutBlanks(environment) },
    fileProblems: [...names.flatMap((name) => nameProblem(name, text, path)), ...lineProblems(text, path)],
  }
}

/** A secret is refused wherever it is, and not here. */
function nameProblem(name: string, text: string, path: string): string[] {
  if (KNOWN.includes(name) || isSecret(name)) return []
  if (OF_THE_PROCESS.some((known) => known.test(name))) {
    return [
      `${name} has no effect in ${path}: it is read from the environment of the process. Set it there, before the process starts.`,
    ]
  }
  const meant = closestName(name, KNOWN)
  const advice =
    meant === undefined
      ? '. Remove it; what other programs read belongs in the environment of the process.'
      : `; did you mean ${meant}?`
  return [`${sayName(name, text)} is unknown in ${path}${advice}`]
}

/** What is not written as names are may be a secret that was pasted there. */
function sayName(name: string, text: string): string {
  if (/^[A-Z][A-Z0-9_]{0,63}$/.test(name)) return name
  const lines = text.split('\n').map((line) => line.replace(/^[ \t]*(export[ \t]+)?/, ''))
  return `the name on line ${1 + lines.findIndex((line) => line.startsWith(name))}`
}

/** A value in quotes, which may have several lines. */
const QUOTED = /^([ \t]*[^\s=#][^\n=]*=[ \t]*)(["'`])([\s\S]*?)\2/gm

/** Such lines would be skipped without a word. */
function lineProblems(text: string, path: string): string[] {
  const lines = text.replace(QUOTED, (whole) => `quoted=${whole.replaceAll(/[^\n]/g, '')}`).split('\n')
  return lines.flatMap((line, index) =>
    /^\s*(#|[^\s=][^=]*=|$)/.test(line) ? [] : [`line ${index + 1} of ${path} has no effect: it is not NAME=value`],
  )
}

import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { closestName } from '../lib/did-you-mean.ts'
import { type Environment, isSecret, withoutBlanks } from './rules.ts'
import { settings } from './schema.ts'

/** Read from the working directory if it exists. The environment takes precedence. */
export const SETTINGS_FILE = 'promptbridge.env'

/** Settings, and the state of the settings file. */
export interface GivenSettings {
  readonly environment: Environment
  /** What is wrong with the file: a line for each problem, without a value. */
  readonly fileProblems: readonly string[]
  /** The settings that are from the file. */
  readonly fromFile: readonly string[]
  /** Whether there is a file. */
  readonly isFileRead: boolean
}

/**
 * Settings that decide where tokens are sent and which signatures are trusted, or that configure the process. The working
 * directory of a command may be a copy from another person, so its file must not set them.
 */
const OF_THE_ENVIRONMENT = [
  /^(ALLOW_CUSTOM_HOSTS|PUSH_CERTS_URL|GCE_METADATA_(HOST|IP)|K_SERVICE|K_REVISION)$/,
  /^[A-Z0-9_]+_EMULATOR_HOST$/,
]
const KNOWN = Object.keys(settings.shape).filter((name) => !isOfTheEnvironment(name))

/** Variables that Node, its libraries and child processes read only from the process environment. */
const OF_THE_PROCESS = [
  /^(NODE|SSL_CERT|OPENSSL|UV|GRPC|CLOUDSDK)_[A-Z0-9_]+$/,
  /^(HTTPS?|NO|ALL|GRPC)_PROXY$/i,
  /^(TZ|PATH|HOME|APPDATA|TMPDIR|LANG|DEBUG)$/,
  /^(GOOGLE_(APPLICATION|SDK|API|EXTERNAL_ACCOUNT)_[A-Z0-9_]+|GOOGLE_CLOUD_(QUOTA_PROJECT|UNIVERSE_DOMAIN)|GCLOUD_PROJECT)$/,
  /^(METADATA_SERVER_DETECTION|DETECT_GCP_RETRIES|AZURE_CONFIG_DIR|AZURE_LOG_LEVEL|AZURE_REGIONAL_AUTHORITY_NAME)$/,
]

/** Adds the settings file, if there is one, to an environment. Refused settings are left out. */
export function withSettingsFile(environment: Environment, path: string): GivenSettings {
  let text: string
  try {
    // Some editors write a byte order mark, which would become part of the first name.
    text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '')
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    const fileProblems = isAbsent ? [] : [`${path} cannot be read`]
    return { environment, fileProblems, fromFile: [], isFileRead: false }
  }
  const own = withoutBlanks(environment)
  const given = Object.entries(withoutBlanks(parseEnv(text)))
  const taken = given.filter(([name]) => isTaken(name))
  const refused = given.flatMap(([name]) => (isTaken(name) ? [] : [nameProblem(name, text, path)]))
  return {
    environment: { ...Object.fromEntries(taken), ...own },
    fileProblems: [...refused, ...lineProblems(text, path)],
    fromFile: taken.map(([name]) => name).filter((name) => own[name] === undefined),
    isFileRead: true,
  }
}

/** Secrets are not refused here. They are refused in every source of settings. */
function isTaken(name: string): boolean {
  return KNOWN.includes(name) || isSecret(name)
}

/** Whether a settings file must not set it. */
export function isOfTheEnvironment(name: string): boolean {
  return OF_THE_ENVIRONMENT.some((known) => known.test(name))
}

function nameProblem(name: string, text: string, path: string): string {
  if (isOfTheEnvironment(name)) {
    return `${name} is refused in ${path}: a file must not decide where tokens go, or what is trusted. Set it in the environment of the process.`
  }
  if (OF_THE_PROCESS.some((known) => known.test(name))) {
    return `${name} has no effect in ${path}: it is read from the environment of the process. Set it there, before the process starts.`
  }
  const meant = closestName(name, KNOWN)
  const advice =
    meant === undefined
      ? '. Remove it; what other programs read belongs in the environment of the process.'
      : `; did you mean ${meant}?`
  return `${sayName(name, text)} is unknown in ${path}${advice}`
}

/** A text that is not a valid name may be a pasted secret, so it is not displayed. */
function sayName(name: string, text: string): string {
  if (/^[A-Z][A-Z0-9_]{0,63}$/.test(name)) return name
  const lines = text.split('\n').map((line) => line.replace(/^[ \t]*(export[ \t]+)?/, ''))
  return `the name on line ${1 + lines.findIndex((line) => line.startsWith(name))}`
}

/** A value in quotes, which may have several lines. */
const QUOTED = /^([ \t]*[^\s=#][^\n=]*=[ \t]*)(["'`])([\s\S]*?)\2/gm

/** The parser skips such lines without an error. */
function lineProblems(text: string, path: string): string[] {
  const lines = text.replace(QUOTED, (whole) => `quoted=${whole.replaceAll(/[^\n]/g, '')}`).split('\n')
  return lines.flatMap((line, index) =>
    /^\s*(#|[^\s=][^=]*=|$)/.test(line) ? [] : [`line ${index + 1} of ${path} has no effect: it is not NAME=value`],
  )
}

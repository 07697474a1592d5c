import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { closestName } from '../lib/did-you-mean.ts'
import { type Environment, isSecret, withoutBlanks } from './rules.ts'
import { settings } from './schema.ts'

/** Read from the working directory when it is there; the environment wins over it. */
export const SETTINGS_FILE = 'promptbridge.env'

/** Settings, and what is known of the file that some of them are from. */
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
 * What decides who gets tokens and whose signature counts, or how the process sees itself. The folder that a command runs
 * in may be a copy of somebody else's, and its file may decide none of this.
 */
const OF_THE_ENVIRONMENT = [
  /^(ALLOW_CUSTOM_HOSTS|PUSH_CERTS_URL|GCE_METADATA_(HOST|IP)|K_SERVICE|K_REVISION)$/,
  /^[A-Z0-9_]+_EMULATOR_HOST$/,
]
const KNOWN = Object.keys(settings.shape).filter((name) => !isOfTheEnvironment(name))

/** What Node, its libraries and the programs they start read from the process alone, most of it before any file is read. */
const OF_THE_PROCESS = [
  /^(NODE|SSL_CERT|OPENSSL|UV|GRPC|CLOUDSDK)_[A-Z0-9_]+$/,
  /^(HTTPS?|NO|ALL|GRPC)_PROXY$/i,
  /^(TZ|PATH|HOME|APPDATA|TMPDIR|LANG|DEBUG)$/,
  /^(GOOGLE_(APPLICATION|SDK|API|EXTERNAL_ACCOUNT)_[A-Z0-9_]+|GOOGLE_CLOUD_(QUOTA_PROJECT|UNIVERSE_DOMAIN)|GCLOUD_PROJECT)$/,
  /^(METADATA_SERVER_DETECTION|DETECT_GCP_RETRIES|AZURE_CONFIG_DIR|AZURE_LOG_LEVEL|AZURE_REGIONAL_AUTHORITY_NAME)$/,
]

/** Adds the settings file, where there is one, to an environment. What is refused in it is left out. */
export function withSettingsFile(environment: Environment, path: string): GivenSettings {
  let text: string
  try {
    // Some editors begin a file with a byte order mark, which would be a part of the first name.
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

/** A secret is refused wherever it is, and not here. */
function isTaken(name: string): boolean {
  return KNOWN.includes(name) || isSecret(name)
}

function isOfTheEnvironment(name: string): boolean {
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

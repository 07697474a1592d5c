import { TokenError } from '../../shared/identity/token-error.ts'
import type { TokenSettings } from '../../shared/identity/token-fetcher.ts'
import { diagnose } from '../../shared/models/azure-openai/explain-refused-token.ts'
import { instant } from '../instant.ts'
import { plainText } from '../plain-text.ts'
import { print, printJson, printProblem } from '../print.ts'
import { type Claims, readClaims } from './read-claims.ts'
import { openTokenLegs } from './token-legs.ts'

/** The claims that are printed of each token. */
const SHOWN = {
  google: ['iss', 'sub', 'aud', 'email', 'iat', 'exp'],
  azure: ['aud', 'tid', 'appid', 'azp', 'oid', 'iat', 'exp'],
} as const
type Whose = keyof typeof SHOWN

const TITLES: Readonly<Record<Whose, string>> = { google: 'Google ID token', azure: 'Azure access token' }

/** Prints the claims. */
interface Output {
  claims(whose: Whose, claims: Claims | undefined): void
  failed(problem: string, hint: string): void
  end(): void
}

/** Resolves with the exit code. Also prints the claims of a Google token that Entra rejects, because they show why. */
export async function inspect(settings: TokenSettings, asJson: boolean): Promise<number> {
  const output = asJson ? createJson() : createText()
  const legs = openTokenLegs(settings, Date.now)
  try {
    if (legs.kind === 'azure-cli') {
      output.claims('azure', readClaims((await legs.azure()).value))
      return 0
    }
    const idToken = await legs.google()
    output.claims('google', readClaims(idToken.value))
    output.claims('azure', readClaims((await legs.entra(idToken)).value))
    return 0
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    output.failed(error.message, diagnose(error, settings.federation).hint)
    return 1
  } finally {
    output.end()
  }
}

function createText(): Output {
  return {
    claims(whose, claims) {
      const lines = shown(whose, claims).map(([name, value]) => `  ${name.padEnd(6)}${describeValue(name, value)}\n`)
      print(`${TITLES[whose]}\n${lines.length === 0 ? '  its claims cannot be read\n' : lines.join('')}`)
    },
    failed(problem, hint) {
      printProblem(`${plainText(problem)}\n  to do  ${plainText(hint)}`)
    },
    end: () => undefined,
  }
}

function createJson(): Output {
  const printed: Record<string, unknown> = {}
  return {
    claims(whose, claims) {
      printed[whose] = Object.fromEntries(shown(whose, claims))
    },
    failed(problem, hint) {
      printed['failure'] = { problem, hint }
    },
    end: () => printJson(printed, 2),
  }
}

function shown(whose: Whose, claims: Claims = {}): [string, string | number][] {
  return SHOWN[whose].flatMap((name): [string, string | number][] => {
    const value = claims[name]
    return value === undefined ? [] : [[name, value]]
  })
}

function describeValue(name: string, value: string | number): string {
  if (typeof value === 'string') return plainText(value)
  const date = new Date(value * 1_000)
  const isTime = (name === 'iat' || name === 'exp') && Number.isFinite(date.getTime())
  return isTime ? instant(date) : String(value)
}

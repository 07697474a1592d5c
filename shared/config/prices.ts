import { readFileSync, statSync } from 'node:fs'
import type { Prices } from '../job/price.ts'
import { parsePrices, withOwnPrices } from '../job/price-table.ts'
import { parseJson } from '../lib/parse-json.ts'
import { ConfigError } from './config-error.ts'

const MAX_FILE_BYTES = 4_000_000

/** The prices of this version, and those of PRICES_FILE (`path`) in the place of these. Throws ConfigError. */
export function readPrices(path: string | undefined): Prices {
  if (!path?.trim()) return withOwnPrices()
  const text = readText(path)
  if (text === undefined) throw new ConfigError([`PRICES_FILE: ${path} cannot be read, or is larger than 4 MB`])
  const value = parseJson(text)
  if (value === undefined) throw new ConfigError([`PRICES_FILE: ${path} is not JSON`])
  const parsed = parsePrices(value)
  if (!parsed.ok) throw new ConfigError(parsed.problems.map((problem) => `PRICES_FILE: ${problem}`))
  return withOwnPrices(parsed.prices)
}

function readText(path: string): string | undefined {
  try {
    return statSync(path).size > MAX_FILE_BYTES ? undefined : readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

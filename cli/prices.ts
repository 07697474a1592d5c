import { Command } from 'commander'
import { readPrices } from '../shared/config/prices.ts'
import type { Environment } from '../shared/config/rules.ts'
import { SETTINGS_FILE, withSettingsFile } from '../shared/config/settings-file.ts'
import type { Price, Prices } from '../shared/job/price.ts'
import { dayOf } from '../shared/job/price-table.ts'
import { addHelpEnding } from './help.ts'
import { addOutputOptions } from './output-options.ts'
import { plainText } from './plain-text.ts'
import { print, printJson, printNote } from './print.ts'

/** The prices that the commands use: the built-in ones, and those of PRICES_FILE. Throws ConfigError. */
export function pricesIn(environment: Environment): Prices {
  return readPrices(withSettingsFile(environment, SETTINGS_FILE).environment['PRICES_FILE'])
}

/** `promptbridge prices`: the table of prices. */
export function pricesCommand(environment: Environment): Command {
  const command = new Command('prices').description('check and print the prices of models that estimates use')
  return addOutputOptions(
    addHelpEnding(command, {
      examples: [
        ['promptbridge prices', 'print the table'],
        ['promptbridge prices --json > ours.json', 'begin a file of your own prices for PRICES_FILE'],
      ],
    }),
    'print the prices as JSON, in the format of PRICES_FILE',
  )
    .exitOverride()
    .action(({ json }: { readonly json?: true }) => {
      const prices = [...pricesIn(environment)]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([, ofModel]) => ofModel)
      if (json) return printJson({ prices: prices.map(toEntry) }, 2)
      print(describePrices(prices))
      printNote('US dollars for a million tokens. An estimate: your contract, region and tier may differ.')
    })
}

/** An entry as a file has it. */
function toEntry({ model, from, until, ...rest }: Price) {
  return { model, from: dayOf(from), ...(until < Infinity && { until: dayOf(until) }), ...rest }
}

const HEADINGS = ['model', 'from', 'until', 'input', 'cached', 'cache write', 'output', 'long context', 'as of']

function describePrices(prices: readonly Price[]): string {
  const rows = [HEADINGS, ...prices.map(cellsOf)]
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
  const sources = [...new Set(prices.map(({ source }) => plainText(source)))]
  return `${[...lines.map((line) => line.trimEnd()), '', 'Sources:', ...sources.map((each) => `  ${each}`)].join('\n')}\n`
}

function cellsOf({ model, from, until, input, cached, cacheWrite, output, longContext, asOf }: Price): string[] {
  const long = longContext && `×${longContext.input} in, ×${longContext.output} out above ${longContext.above}`
  const amounts = [input, cached ?? '–', cacheWrite ?? '–', output].map(String)
  return [plainText(model), dayOf(from), until < Infinity ? dayOf(until) : '–', ...amounts, long ?? '–', asOf]
}

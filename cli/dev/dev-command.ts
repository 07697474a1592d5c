import { once } from 'node:events'
import { Command, InvalidArgumentError } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { ExitCode } from '../exit-codes.ts'
import { addHelpEnding } from '../help.ts'
import { invocation } from '../installation.ts'
import { listenForInterrupt } from '../interrupt.ts'
import { addOutputOptions } from '../output-options.ts'
import { print, printJson } from '../print.ts'
import { type DevOptions, type DevSystem, startDev } from './dev.ts'

interface CommandOptions extends DevOptions {
  readonly json?: true
}

/** `promptbridge dev`: a worker on one file of this machine, until Ctrl-C. */
export function devCommand(environment: Environment): Command {
  const command = new Command('dev')
    .option('--azure', 'answer with your own Azure OpenAI, as run does (default: with a stand-in for the model)')
    .option('--events-to <url>', 'push the event of each job and batch to this address, as Pub/Sub does', httpUrl)
    .option('--port <number>', 'the port of the worker (default: a free one)', portNumber)
  addOutputOptions(command, 'print the addresses as one line of JSON')
  return addHelpEnding(command, {
    examples: [
      ['promptbridge dev', 'deliver the jobs that submit publishes, until Ctrl-C'],
      ['promptbridge dev --events-to http://127.0.0.1:8081/', 'and push each answer to your own server'],
      ['promptbridge dev --azure', 'the same with answers of your own Azure OpenAI'],
    ],
    failure: 'one of its processes ended',
    isInterruptible: true,
  })
    .exitOverride()
    .action(async ({ json, ...options }: CommandOptions) => {
      process.exitCode = await dev(options, environment, json === true)
    })
}

/** Resolves with the exit code. To stop it with Ctrl-C is its usual end. */
async function dev(options: DevOptions, environment: Environment, isJson: boolean): Promise<number> {
  using interrupt = listenForInterrupt()
  const { signal } = interrupt
  try {
    await using system = await startDev(options, environment, signal)
    if (isJson) printJson({ store: system.store, ...system.addresses })
    else print(describe(system))
    await Promise.race([untilAborted(signal), system.broken])
    return ExitCode.done
  } catch (error) {
    if (!signal.aborted) throw error
    return ExitCode.interrupted
  }
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}

const LABELS: Readonly<Record<string, string>> = {
  azure: 'Azure OpenAI (stand-in)',
  entra: 'Entra (stand-in)',
  metadata: 'metadata server (stand-in)',
  eventsTo: 'events go to',
  eventKeys: 'keys of their tokens',
  workerLog: 'log of the worker',
}

function describe({ store, addresses }: DevSystem): string {
  const rows = Object.entries({ store, ...addresses }).map(([name, at]) => [LABELS[name] ?? name, at] as const)
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.map(([name, address]) => `${name.padEnd(width)}  ${address}`)
  const next = [
    `${invocation()} submit jobs.jsonl --batch first --store ${store}`,
    `${invocation()} results first --store ${store}`,
  ]
  return `${[...lines, '', 'In another terminal:', ...next.map((line) => `  ${line}`), '', 'Ctrl-C ends it.'].join('\n')}\n`
}

function httpUrl(text: string): string {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new InvalidArgumentError('It must be an http or https URL.')
  return url.href
}

function portNumber(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw new InvalidArgumentError('It must be 1 to 65535.')
  return port
}

import { Command, Option } from 'commander'
import type { Environment } from '../shared/config/rules.ts'
import { quote } from '../shared/lib/quote.ts'
import type { Deliveries, Handled } from '../shared/queues/deliveries.ts'
import { openDeliveries } from '../shared/stores/open-deliveries.ts'
import { addHelpEnding } from './help.ts'
import { addOutputOptions } from './output-options.ts'
import { handleDeployment } from './pause-deployment.ts'
import { plainText } from './plain-text.ts'
import { print, printJson } from './print.ts'
import { addStoreOptions, locateStores, type StoreOptions } from './with-stores.ts'

interface DeliveryOptions extends StoreOptions {
  readonly subscription?: string
  readonly deployment?: string
  readonly json?: true
}

/** `promptbridge pause`: messages wait in the queue until `promptbridge resume`. */
export function pauseCommand(environment: Environment): Command {
  return describeCommand('pause', environment, async (options) => {
    const handled = await handle(options, environment, (deliveries) => deliveries.pause)
    if (!handled.some(({ state }) => state === 'paused' || state === 'was_paused')) throw nothingToPause(options)
    if (!options.json) print(`Running jobs continue. To deliver again: ${resumeLine(options)}\n`)
  })
}

/** `promptbridge resume`: delivers again what was paused. */
export function resumeCommand(environment: Environment): Command {
  return describeCommand('resume', environment, async (options) => {
    const handled = await handle(options, environment, (deliveries) => deliveries.resume)
    const [lost] = handled.filter(({ state }) => state === 'no_endpoint')
    if (handled.length === 0) throw nothingToPause(options)
    if (lost !== undefined) throw new Error(`the pause saved no push endpoint; run: ${updateLine(lost, environment)}`)
  })
}

function describeCommand(
  name: 'pause' | 'resume',
  environment: Environment,
  run: (options: DeliveryOptions) => Promise<void>,
): Command {
  const command = new Command(name)
    .option('--subscription <name>', 'only this subscription (default: all of JOBS_TOPIC that push to a worker)')
    .addOption(
      new Option('--deployment <name>', 'only requests to this deployment; jobs are still delivered').conflicts(
        'subscription',
      ),
    )
  addHelpEnding(command, {
    examples: [
      [`promptbridge ${name}`, `${name} all jobs`],
      [`promptbridge ${name} --subscription promptbridge-push`, `${name} the jobs of one subscription`],
      [`promptbridge ${name} --deployment gpt-5-mini`, `${name} one deployment, as DEPLOYMENTS names it`],
    ],
    failure: 'no subscription pushes to a worker',
  })
  return addOutputOptions(addStoreOptions(command), 'print the result as JSON')
    .exitOverride()
    .action(({ deployment, ...options }: DeliveryOptions) =>
      deployment === undefined ? run(options) : handleDeployment(name, { deployment, ...options }, environment),
    )
}

async function handle(
  options: DeliveryOptions,
  environment: Environment,
  choose: (deliveries: Deliveries) => Deliveries['pause'],
): Promise<readonly Handled[]> {
  const { store, jobsTopic, emulators } = await locateStores('change', options, environment)
  const deliveries = await openDeliveries(store, emulators)
  try {
    const handled = await choose(deliveries)(jobsTopic, options.subscription)
    if (options.json) printJson(handled)
    else print(handled.map(describe).join(''))
    return handled
  } finally {
    await deliveries.close()
  }
}

const LABELS: Readonly<Record<Handled['state'], string>> = {
  paused: 'paused',
  was_paused: 'was paused already',
  resumed: 'delivered again',
  was_delivered: 'was not paused',
  no_endpoint: 'has no push endpoint',
}

function describe({ subscription, state, endpoint }: Handled): string {
  const to = endpoint === undefined ? '' : ` to ${plainText(endpoint)}`
  return `${plainText(subscription)}  ${LABELS[state]}${to}\n`
}

function nothingToPause({ subscription }: DeliveryOptions): Error {
  if (subscription === undefined) return new Error('JOBS_TOPIC has no subscription that pushes to https://WORKER/push')
  return new Error(`JOBS_TOPIC has no push subscription ${plainText(subscription)}`)
}

function resumeLine({ store, project, subscription }: DeliveryOptions): string {
  const given = Object.entries({ store, project, subscription })
  const flags = given.flatMap(([name, value]) => (value === undefined ? [] : [`--${name} ${quote(value)}`]))
  return ['promptbridge resume', ...flags].join(' ')
}

/** The gcloud command that sets the push endpoint of a subscription. */
function updateLine({ subscription }: Handled, { PUSH_AUDIENCE, PUSH_SERVICE_ACCOUNT }: Environment): string {
  const flags = [
    '--push-endpoint=https://WORKER/push',
    `--push-auth-service-account=${quote(PUSH_SERVICE_ACCOUNT ?? 'EMAIL')}`,
    `--push-auth-token-audience=${quote(PUSH_AUDIENCE ?? 'AUDIENCE')}`,
  ]
  return `gcloud pubsub subscriptions update ${quote(subscription)} ${flags.join(' ')}`
}

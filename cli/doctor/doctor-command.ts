import { randomUUID } from 'node:crypto'
import { Command, Option } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import type { GivenSettings } from '../../shared/config/settings-file.ts'
import { defined } from '../../shared/lib/defined.ts'
import { addHelpEnding } from '../help.ts'
import { addOutputOptions } from '../output-options.ts'
import { printJson, printStyled } from '../print.ts'
import { readSettings } from '../read-settings.ts'
import { describeStep, describeVerdict } from './print-step.ts'
import type { LiveService } from './read-live-settings.ts'
import type { DoctorOptions } from './run-doctor.ts'

interface Given {
  readonly serviceAccount?: string
  readonly service?: string
  readonly region?: string
  readonly project?: string
  readonly store?: string
  readonly json?: true
}

/** `promptbridge doctor`: checks each service that a job needs, and prints how to fix each failed check. */
export function doctorCommand(environment: Environment): Command {
  const command = new Command('doctor')
  return addHelpEnding(addOutputOptions(command, 'print all results as one JSON document, at the end'), {
    examples: [
      ['promptbridge doctor', 'check everything with the settings of this machine'],
      ['promptbridge doctor --service promptbridge --region europe-west1', 'check a Cloud Run service'],
      ['promptbridge doctor --json', 'print the results as JSON'],
    ],
    failure: 'a check failed',
    needsSettings: false,
  })
    .option(
      '--service-account <email>',
      "run the checks as the worker's service account; your login must be allowed to impersonate it",
    )
    .option('--service <name>', 'check the settings of this Cloud Run service, as its service account')
    .option('--region <region>', 'the region of that service, such as europe-west1')
    .addOption(
      new Option('--store <store>', 'check this store: firestore, or sqlite:PATH (default: STORE)').conflicts(
        'service',
      ),
    )
    .option('--project <id>', 'the Google Cloud project (default: GOOGLE_CLOUD_PROJECT)')
    .exitOverride()
    .action(async (given: Given) => {
      const problem = misuse(given)
      if (problem !== undefined) command.error(`error: ${problem}`)
      process.exitCode = await run(given, readSettings(environment), command)
    })
}

function misuse({ service, region, serviceAccount }: Given): string | undefined {
  if ((service === undefined) !== (region === undefined)) return '--service and --region go together'
  if (serviceAccount !== undefined && !/^[\w.-]+@[\w.-]+\.gserviceaccount\.com$/.test(serviceAccount)) {
    return '--service-account must be the e-mail of a service account'
  }
  return undefined
}

/** Resolves with the exit code. The libraries are loaded only now: other commands start faster without them. */
async function run(given: Given, { environment: own, ...file }: GivenSettings, command: Command): Promise<number> {
  const { project = own['GOOGLE_CLOUD_PROJECT'], json } = given
  const live = liveService(given, project)
  if (given.service !== undefined && live === undefined) {
    command.error('error: --service needs --project, or GOOGLE_CLOUD_PROJECT')
  }
  const options: DoctorOptions = {
    ...(given.serviceAccount !== undefined && { serviceAccount: given.serviceAccount }),
    ...defined({ live }),
  }
  const { runDoctor } = await import('./run-doctor.ts')
  const steps = await runDoctor(options, {
    environment: { ...own, ...defined({ GOOGLE_CLOUD_PROJECT: project, STORE: given.store }) },
    file: given.project === undefined ? file : { ...file, fromFile: file.fromFile.filter(isNotProject) },
    now: Date.now,
    newId: randomUUID,
    onStep: (step) => json || printStyled(describeStep(step)),
  })
  if (json) printJson({ steps }, 2)
  else printStyled(describeVerdict(steps))
  return steps.some(({ ok }) => ok === false) ? 1 : 0
}

/** The option has priority over the file. */
function isNotProject(name: string): boolean {
  return name !== 'GOOGLE_CLOUD_PROJECT'
}

function liveService({ service, region }: Given, project: string | undefined): LiveService | undefined {
  if (service === undefined || region === undefined || project === undefined) return undefined
  return { name: service, region, project }
}

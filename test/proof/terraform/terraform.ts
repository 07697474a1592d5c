import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { type Diagnostic, type Ended, readValidated, runTerraform, throwIfFailed } from './command.ts'
import type { Computed } from './provider/make-up.ts'
import { readProviders } from './provider/schema.ts'
import { serveProviders } from './provider/serve-providers.ts'
import { writeMirror } from './provider/write-mirror.ts'
import { type Applied, type Plan, readApplied, readPlan } from './read-plan.ts'

/** Values of variables, as JSON has them. */
export type Variables = Readonly<Record<string, unknown>>

export interface OpenOptions {
  /** The folder that holds all modules which the configuration names by a relative path; its own by default. */
  readonly within?: string
  /** What the clouds compute; made up where nothing is said. */
  readonly computed?: Computed
}

/** A configuration that Terraform has initialised, with providers that know the schemas of the real ones. */
export interface Configuration extends AsyncDisposable {
  /** What Terraform has to say against it by the schemas, without any variable. */
  validate(): Promise<readonly Diagnostic[]>
  /** What would be made where nothing is yet. Rejects with all that Terraform says, if it fails. */
  plan(variables?: Variables): Promise<Plan>
  /** What would become of the installation that this state file describes. Rejects as `plan` does. */
  planFrom(state: string, variables?: Variables): Promise<Plan>
  /** What there is after it was made: all is known, and what a cloud computes is made up. Rejects as `plan` does. */
  apply(variables?: Variables): Promise<Applied>
}

type Terraform = (...args: readonly string[]) => Promise<Ended>

/** Opens a copy of the configuration in a folder; the folder stays as it is. */
export async function openConfiguration(folder: string, options: OpenOptions = {}): Promise<Configuration> {
  const { within = folder, computed = {} } = options
  await using started = new AsyncDisposableStack()
  const home = await mkdtemp(join(tmpdir(), 'terraform-'))
  started.defer(() => rm(home, { recursive: true }))
  const copy = join(home, 'configuration')
  await cp(within, copy, { recursive: true, filter: isSource })
  const known = readProviders()
  const settings = join(home, 'terraform.rc')
  await writeFile(settings, await writeMirror(join(home, 'mirror'), known))
  const providers = started.use(await serveProviders(known, computed))
  const work = join(copy, relative(within, folder))
  const alone = { HOME: home, TF_CLI_CONFIG_FILE: settings, TF_DATA_DIR: join(home, 'data') }
  const init = await runTerraform(['init', '-backend=false', '-input=false', '-no-color'], work, alone)
  const terraform: Terraform = (...args) => runTerraform(args, work, { ...alone, ...providers.environment })
  const cleanups = started.move()
  return {
    validate: () => validate(terraform, init),
    plan: (variables = {}) => plan(terraform, init, home, variables),
    planFrom: async (state, variables = {}) => {
      const own = join(home, 'found')
      await cp(state, own)
      return plan(terraform, init, home, variables, [`-state=${own}`])
    },
    apply: (variables = {}) => apply(terraform, init, home, variables),
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}

async function validate(terraform: Terraform, init: Ended): Promise<readonly Diagnostic[]> {
  const found = readValidated((await terraform('validate', '-json')).stdout)
  // What keeps Terraform from reading a configuration is reported more clearly here than by init.
  if (found.length === 0) throwIfFailed(init)
  return found
}

/** A lock file names the hashes of the real providers, and packages and history take a minute to copy. */
function isSource(path: string): boolean {
  return !basename(path).startsWith('.') && basename(path) !== 'node_modules'
}

type Args = readonly string[]

async function plan(
  terraform: Terraform,
  init: Ended,
  home: string,
  values: Variables,
  more: Args = [],
): Promise<Plan> {
  return readPlan((await terraform('show', '-json', await writePlan(terraform, init, home, values, more))).stdout)
}

async function apply(terraform: Terraform, init: Ended, home: string, variables: Variables): Promise<Applied> {
  const file = await writePlan(terraform, init, home, variables)
  const state = join(home, 'state')
  try {
    throwIfFailed(await terraform('apply', '-json', '-lock=false', `-state=${state}`, file))
    return readApplied((await terraform('show', '-json', state)).stdout)
  } finally {
    // The next one starts with nothing, even where this one failed half-way.
    await rm(state, { force: true })
  }
}

async function writePlan(
  terraform: Terraform,
  init: Ended,
  home: string,
  variables: Variables,
  more: Args = [],
): Promise<string> {
  throwIfFailed(init)
  const file = join(home, 'plan')
  const given = join(home, 'variables.tfvars.json')
  await writeFile(given, JSON.stringify(variables))
  const args = ['-json', '-input=false', '-lock=false', `-out=${file}`, `-var-file=${given}`, ...more]
  throwIfFailed(await terraform('plan', ...args))
  return file
}

/** The files below a folder that `terraform fmt` would change. Rejects if there is one it cannot read. */
export async function misformatted(folder: string): Promise<readonly string[]> {
  const ended = await runTerraform(['fmt', '-check', '-recursive', '-no-color'], folder, { HOME: tmpdir() })
  const SOME = 3
  if (ended.code !== SOME) throwIfFailed(ended)
  return ended.stdout.split('\n').filter((path) => path !== '')
}

import { execFile, spawnSync } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { z } from 'zod'
import type { Computed } from './provider/make-up.ts'
import { serveProvider } from './provider/provider.ts'
import { type KnownProvider, readProviders } from './provider/schema.ts'
import { type Applied, type Plan, readApplied, readPlan } from './read-plan.ts'

export type { Computed } from './provider/make-up.ts'

/** What keeps Terraform from running here; undefined when nothing does. */
export function missingForTerraform(): string | undefined {
  return spawnSync('which', ['terraform']).status === 0 ? undefined : 'terraform not found'
}

const diagnostic = z.object({
  severity: z.enum(['error', 'warning']),
  summary: z.string(),
  detail: z.string().default(''),
  /** The resource or block it is about, where there is one. */
  address: z.string().optional(),
  range: z.object({ filename: z.string(), start: z.object({ line: z.number() }) }).optional(),
})

export type Diagnostic = z.infer<typeof diagnostic>

/** Values of variables, as JSON has them. */
export type Variables = Readonly<Record<string, unknown>>

export interface OpenOptions {
  /** The folder that holds all modules which the configuration names by a relative path; its own by default. */
  readonly within?: string
  /** What the clouds compute; made up where nothing is said. */
  readonly computed?: Computed
}

/** A copy of a configuration that Terraform has initialised, with providers that know the real ones' schemas. */
export interface Configuration extends AsyncDisposable {
  /** What Terraform has to say against it by the schemas; no variable is needed for it. */
  validate(): Promise<readonly Diagnostic[]>
  /** What `terraform plan` shows for a project that is empty. Rejects with all it has to say, if it fails. */
  plan(variables?: Variables): Promise<Plan>
  /** The state after `terraform apply`: everything is known, and what a cloud computes is made up. Rejects as plan. */
  apply(variables?: Variables): Promise<Applied>
}

/** Opens the configuration in a folder, and leaves the folder as it is. */
export async function openConfiguration(folder: string, options: OpenOptions = {}): Promise<Configuration> {
  const { within = folder, computed = {} } = options
  await using started = new AsyncDisposableStack()
  const home = await mkdtemp(join(tmpdir(), 'terraform-'))
  started.defer(() => rm(home, { recursive: true }))
  const copy = join(home, 'configuration')
  await cp(within, copy, { recursive: true, filter: (path) => !basename(path).startsWith('.terraform') })
  const providers = readProviders()
  await writeMirror(home, providers)
  const reattach: [string, unknown][] = []
  for (const { address, schema } of providers) {
    const { port } = started.use(await serveProvider(schema, computed))
    reattach.push([address, reattachTo(port)])
  }
  const terraform = terraformIn(join(copy, relative(within, folder)), home)
  const init = await terraform(['init', '-backend=false', '-input=false', '-no-color'])
  const env = { TF_REATTACH_PROVIDERS: JSON.stringify(Object.fromEntries(reattach)) }
  const planFile = join(home, 'plan')
  const makePlan = async (variables: Variables): Promise<void> => {
    if (init.code !== 0) throw new Error(`terraform init: ${init.stderr}`)
    const variablesFile = join(home, 'variables.tfvars.json')
    await writeFile(variablesFile, JSON.stringify(variables))
    const args = ['plan', '-json', '-input=false', '-lock=false', `-out=${planFile}`, `-var-file=${variablesFile}`]
    succeed(await terraform(args, env))
  }
  const cleanups = started.move()
  return {
    async validate() {
      const { stdout } = await terraform(['validate', '-json'], env)
      const { diagnostics } = z.object({ diagnostics: z.array(diagnostic) }).parse(JSON.parse(stdout))
      if (init.code !== 0 && diagnostics.length === 0) throw new Error(`terraform init: ${init.stderr}`)
      return diagnostics
    },
    async plan(variables = {}) {
      await makePlan(variables)
      return readPlan((await terraform(['show', '-json', planFile], env)).stdout)
    },
    async apply(variables = {}) {
      await makePlan(variables)
      const stateFile = join(home, 'state')
      succeed(await terraform(['apply', '-json', '-lock=false', `-state=${stateFile}`, planFile], env))
      const { stdout } = await terraform(['show', '-json', stateFile], env)
      await rm(stateFile)
      return readApplied(stdout)
    },
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}

/** The files below a folder that `terraform fmt` would write otherwise, and those it cannot read. */
export async function misformatted(folder: string): Promise<readonly string[]> {
  const { code, stdout, stderr } = await run(['fmt', '-check', '-recursive', '-no-color', folder], tmpdir(), {})
  // 3 says that there are such files; anything else but 0, that some could not be read.
  if (code !== 0 && code !== 3) throw new Error(`terraform fmt: ${stderr}`)
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((path) => relative(folder, join(tmpdir(), path)))
    .toSorted()
}

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

type Terraform = (args: readonly string[], more?: Readonly<Record<string, string>>) => Promise<Ended>

/** Terraform in a working folder, with its own files at home, and neither credentials nor settings from outside. */
function terraformIn(folder: string, home: string): Terraform {
  const env = {
    HOME: home,
    TF_CLI_CONFIG_FILE: join(home, 'terraform.rc'),
    TF_DATA_DIR: join(home, 'data'),
    TF_IN_AUTOMATION: '1',
    CHECKPOINT_DISABLE: '1',
  }
  return (args, more = {}) => run(args, folder, { ...env, ...more })
}

const TIMEOUT_MS = 60_000
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

function run(args: readonly string[], cwd: string, env: Readonly<Record<string, string>>): Promise<Ended> {
  const options = { cwd, env: { PATH: process.env['PATH'], ...env }, timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES }
  return new Promise((resolve, reject) => {
    execFile('terraform', args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code
      if (typeof code === 'number') resolve({ code, stdout, stderr })
      else reject(error)
    })
  })
}

const line = z.object({ diagnostic: diagnostic.optional() })

/** Rejects with what a command said in JSON lines, if it failed. */
function succeed({ code, stdout, stderr }: Ended): void {
  if (code === 0) return
  const errors = stdout
    .split('\n')
    .filter((text) => text.startsWith('{'))
    .flatMap((text) => line.parse(JSON.parse(text)).diagnostic ?? [])
    .filter(({ severity }) => severity === 'error')
    .map(({ address, summary, detail }) => `${address ?? ''}: ${summary}: ${detail}`)
  throw new Error(errors.length === 0 ? stderr : errors.join('\n'))
}

/** How Terraform calls a provider that is there already, and is not to be ended: without TLS, on loopback. */
function reattachTo(port: number): unknown {
  const address = { Network: 'tcp', String: `127.0.0.1:${port}` }
  return { Protocol: 'grpc', ProtocolVersion: 5, Pid: process.pid, Test: true, Addr: address }
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64' }

/**
 * Lets `terraform init` find each provider in the version whose schema is known, so that it checks sources and version
 * constraints. What lies there is never run.
 */
async function writeMirror(home: string, providers: readonly KnownProvider[]): Promise<void> {
  const mirror = join(home, 'mirror')
  const platform = `${process.platform}_${ARCHITECTURES[process.arch] ?? process.arch}`
  for (const { address, version } of providers) {
    const folder = join(mirror, address, version, platform)
    await mkdir(folder, { recursive: true })
    const file = join(folder, `terraform-provider-${basename(address)}_v${version}`)
    await writeFile(file, '')
    await chmod(file, 0o755)
  }
  const installation = `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(mirror)}\n  }\n}\n`
  await writeFile(join(home, 'terraform.rc'), installation)
}

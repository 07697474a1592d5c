import { execFile } from 'node:child_process'
import { z } from 'zod'

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const TIMEOUT_MS = 600_000
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

/** Runs Terraform in a folder with this environment alone, so that no credential is about. Rejects after ten minutes. */
export function runTerraform(
  args: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>>,
): Promise<Ended> {
  const env = { PATH: process.env['PATH'], CHECKPOINT_DISABLE: '1', TF_IN_AUTOMATION: '1', ...environment }
  const options = { cwd, env, timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES }
  return new Promise((resolve, reject) => {
    execFile('terraform', args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code
      if (typeof code === 'number') resolve({ code, stdout, stderr })
      else reject(error)
    })
  })
}

const diagnostic = z.object({
  severity: z.enum(['error', 'warning']),
  summary: z.string(),
  detail: z.string().default(''),
  /** The resource or block it is about, where there is one. */
  address: z.string().optional(),
  range: z.object({ filename: z.string(), start: z.object({ line: z.number() }) }).optional(),
})

/** One thing that Terraform has to say. */
export type Diagnostic = z.infer<typeof diagnostic>

const validated = z.object({ diagnostics: z.array(diagnostic) })

/** What `terraform validate -json` says. */
export function readValidated(json: string): readonly Diagnostic[] {
  return validated.parse(JSON.parse(json)).diagnostics
}

const line = z.object({ diagnostic: diagnostic.optional() })

/** A variable that a test sets and no module declares is an error of the test. Terraform only warns about it. */
const UNDECLARED = 'Value for undeclared variable'

/** Throws what a command said in lines of JSON, if it failed: a line an error, with its address. */
export function throwIfFailed({ code, stdout, stderr }: Ended): void {
  const errors = stdout
    .split('\n')
    .filter((text) => text.startsWith('{'))
    .flatMap((text) => line.parse(JSON.parse(text)).diagnostic ?? [])
    .filter(({ severity, summary }) => severity === 'error' || summary === UNDECLARED)
    .map(({ address = 'terraform', summary, detail }) => `${address}: ${summary}: ${detail}`)
  if (errors.length > 0) throw new Error(errors.join('\n'))
  if (code !== 0) throw new Error(`terraform: ${stderr}`)
}

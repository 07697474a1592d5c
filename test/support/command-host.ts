import { z } from 'zod'
import { runCommandLine } from '../../cli/command-line.ts'

/**
 * A process that runs one command after the other, each with an environment and a folder of its own, and answers with what
 * each printed. To start a process for each would take most of the time of the command's tests.
 */
const request = z.object({
  args: z.array(z.string()),
  cwd: z.string(),
  env: z.record(z.string(), z.string()),
})

process.on('message', async (message) => {
  const { args, cwd, env } = request.parse(message)
  process.chdir(cwd)
  for (const name of Object.keys(process.env)) delete process.env[name]
  Object.assign(process.env, env)
  process.exitCode = 0
  const stdout = capture(process.stdout)
  const stderr = capture(process.stderr)
  await runCommandLine(args, process.env)
  process.send?.({ code: process.exitCode, stdout: stdout.end(), stderr: stderr.end() })
})

/** Keeps what is written to a stream, until its end. */
function capture(stream: NodeJS.WriteStream): { end(): string } {
  const written: Buffer[] = []
  const write = stream.write
  stream.write = (chunk: Uint8Array | string, ...more: readonly unknown[]) => {
    written.push(Buffer.from(chunk))
    for (const done of more) if (typeof done === 'function') done()
    return true
  }
  return {
    end() {
      stream.write = write
      return Buffer.concat(written).toString()
    },
  }
}

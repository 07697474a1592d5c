import { runCommandLine } from './command-line.ts'

endWithTheReader(process.stdout)
endWithTheReader(process.stderr)
await runCommandLine(process.argv.slice(2), process.env)

/** Whoever read this stream has gone, as in `| head`: the work ends as it does on SIGTERM, and in order. */
function endWithTheReader(stream: NodeJS.WriteStream): void {
  stream.once('error', () => {
    stream.on('error', () => undefined)
    process.kill(process.pid, 'SIGTERM')
  })
}

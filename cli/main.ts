import { runCommandLine } from './command-line.ts'

endWithTheReader(process.stdout)
endWithTheReader(process.stderr)
await runCommandLine(process.argv.slice(2), process.env)

/** The reader of this stream has closed it, as in `| head`: the command ends in order, as on SIGTERM. */
function endWithTheReader(stream: NodeJS.WriteStream): void {
  stream.once('error', () => {
    stream.on('error', () => undefined)
    process.kill(process.pid, 'SIGTERM')
  })
}

// Older versions cannot load the commands, so these are imported below.

const [major = 0] = process.versions.node.split('.').map(Number)
if (major < 24) {
  process.stderr.write(`promptbridge: Node 24 or newer is needed, and this is Node ${process.versions.node}\n`)
  process.exit(1)
}

// Google's libraries warn about what our own errors explain.
process.removeAllListeners('warning')
endWithTheReader(process.stdout)
endWithTheReader(process.stderr)
const { runCommandLine } = await import('./command-line.ts')
await runCommandLine(process.argv.slice(2), process.env)

/** The reader of this stream has closed it, as in `| head`, which is no failure. A command that ends in order on SIGTERM does so. */
function endWithTheReader(stream: NodeJS.WriteStream): void {
  stream.once('error', () => {
    stream.on('error', () => undefined)
    if (process.listenerCount('SIGTERM') > 0) process.kill(process.pid, 'SIGTERM')
    else process.exit(0)
  })
}

/** Loaded before a server's own modules: reports the processor time of the process when its parent asks. */
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuMs: (user + system) / 1_000, peakMiB: process.resourceUsage().maxRSS / 1_024 })
})
process.once('disconnect', () => process.exit())

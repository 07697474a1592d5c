const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** Listens for being told to end, by Ctrl-C or SIGTERM. The second time ends this process as it would any other. */
export function listenForInterrupt(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController()
  const end = () => {
    for (const name of SIGNALS) process.off(name, interrupt)
  }
  const interrupt = () => {
    end()
    controller.abort()
  }
  for (const name of SIGNALS) process.on(name, interrupt)
  return { signal: controller.signal, [Symbol.dispose]: end }
}

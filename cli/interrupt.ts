const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** Listens for Ctrl-C and SIGTERM. The second one ends this process in the usual way. */
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

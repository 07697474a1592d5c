import type { Computed } from './make-up.ts'
import { serveProvider } from './provider.ts'
import type { KnownProvider } from './schema.ts'

export interface Providers extends AsyncDisposable {
  /** What makes Terraform call them: without TLS, on loopback, and as providers that it did not start and may not end. */
  readonly environment: Readonly<Record<string, string>>
}

/** Serves each provider from this very process. */
export async function serveProviders(known: readonly KnownProvider[], computed: Computed): Promise<Providers> {
  await using started = new AsyncDisposableStack()
  const reattach: [string, unknown][] = []
  for (const { address, schema } of known) {
    const { port } = started.use(await serveProvider(schema, computed))
    const at = { Network: 'tcp', String: `127.0.0.1:${port}` }
    reattach.push([address, { Protocol: 'grpc', ProtocolVersion: 5, Pid: process.pid, Test: true, Addr: at }])
  }
  const cleanups = started.move()
  return {
    environment: { TF_REATTACH_PROVIDERS: JSON.stringify(Object.fromEntries(reattach)) },
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}

import { test } from 'node:test'

/** Makes a test of each fact of a contract. Each has a harness of its own, which is closed after it. */
export function factsOf<H extends { close(): Promise<void> }>(open: () => Promise<H>) {
  return (title: string, holds: (harness: H) => Promise<void>) =>
    test(title, async () => {
      const harness = await open()
      try {
        await holds(harness)
      } finally {
        await harness.close()
      }
    })
}

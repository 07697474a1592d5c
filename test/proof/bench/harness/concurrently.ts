/** Does `count` pieces of work, numbered from 0, so many at a time. Rejects as soon as one does. */
export async function concurrently(
  count: number,
  atATime: number,
  work: (n: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const lane = async () => {
    for (let n = next++; n < count; n = next++) await work(n)
  }
  await Promise.all(Array.from({ length: atATime }, lane))
}

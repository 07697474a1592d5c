import assert from 'node:assert/strict'

/** Of https://cloud.google.com/pubsub/docs/subscription-message-filter#filtering_syntax what our filters use. */
const COMPARISON = /^(NOT )?attributes\."([^"]+)" = "([^"]*)"$/

/** Whether a subscription with this filter takes a message with these attributes; throws for any other syntax. */
export function takes(filter: string, attributes: Readonly<Record<string, string>>): boolean {
  // Each is looked at: what cannot be read must not hide behind one that is not met.
  const met = filter.split(' AND ').map((part) => {
    const [whole, not, key, wanted] = COMPARISON.exec(part) ?? []
    assert.ok(whole !== undefined && key !== undefined, `cannot be read: ${part}`)
    return (attributes[key] === wanted) === (not === undefined)
  })
  return met.every((one) => one)
}

/**
 * Reads a body as UTF-8 text; resolves with undefined where it is longer than `maxBytes`, and hears it no further.
 *
 * A long answer may be a good part of the memory there is. So its bytes are gathered in one buffer that grows in place
 * and is given back at once: Response.text() was measured to hold them three times.
 */
export async function readText(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<string | undefined> {
  const gathered = new ArrayBuffer(0, { maxByteLength: maxBytes })
  for await (const chunk of body ?? []) {
    const length = gathered.byteLength
    if (length + chunk.byteLength > maxBytes) return undefined
    gathered.resize(length + chunk.byteLength)
    new Uint8Array(gathered, length).set(chunk)
  }
  const text = Buffer.from(gathered).toString()
  gathered.resize(0)
  return text
}

const MARK = Buffer.from('\ufeff')

/**
 * Reads a body as UTF-8 text. If it is longer than `maxBytes`, stops reading and resolves with undefined.
 *
 * A byte order mark at the beginning is dropped, because Node's JSON parser does not accept it (RFC 8259, 8.1).
 *
 * A long answer may take a large part of the memory. So its bytes are collected in one buffer that grows in place and is
 * freed at once. Response.text() was measured to hold them three times.
 */
export async function readText(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string | undefined> {
  const gathered = new ArrayBuffer(0, { maxByteLength: maxBytes })
  for await (const chunk of body) {
    const length = gathered.byteLength
    if (length + chunk.byteLength > maxBytes) return undefined
    gathered.resize(length + chunk.byteLength)
    new Uint8Array(gathered, length).set(chunk)
  }
  const bytes = Buffer.from(gathered)
  const text = bytes.subarray(bytes.subarray(0, MARK.length).equals(MARK) ? MARK.length : 0).toString()
  gathered.resize(0)
  return text
}

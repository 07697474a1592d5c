import type { Value } from './protocol.ts'

const MAP_BYTES = 32
/** A number's and a time's; nothing of ours that has a fixed size has more. */
const SCALAR_BYTES = 8

/** What Firestore counts for a document's fields, or a map's. https://firebase.google.com/docs/firestore/storage-size */
export function storedBytes(fields: Readonly<Record<string, Value>>): number {
  let bytes = MAP_BYTES
  for (const [name, value] of Object.entries(fields)) bytes += textBytes(name) + valueBytes(value)
  return bytes
}

function valueBytes({ stringValue, bytesValue, mapValue, arrayValue }: Value): number {
  if (typeof stringValue === 'string') return textBytes(stringValue)
  if (bytesValue instanceof Uint8Array) return bytesValue.byteLength
  if (mapValue) return storedBytes(mapValue.fields ?? {})
  if (arrayValue) return (arrayValue.values ?? []).reduce((sum, value) => sum + valueBytes(value), 0)
  return SCALAR_BYTES
}

function textBytes(text: string): number {
  return Buffer.byteLength(text) + 1
}

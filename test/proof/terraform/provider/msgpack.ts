/**
 * A value as Terraform sends it. Bytes stand for one that is not known before apply; they are passed on as they came,
 * with what Terraform already knows of it.
 */
export type Value =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value }

/** A value of which nothing is known before apply: an extension of type 0 with one byte that means nothing. */
export const UNKNOWN: Value = Uint8Array.of(0xd4, 0, 0)

/** A value, and where the next one begins. */
type Read<Kind extends Value = Value> = readonly [Kind, number]

/** Reads a whole message pack. Throws if it has what Terraform does not send: binaries, and integers beyond 2^53. */
export function decode(data: Uint8Array): Value {
  return read(Buffer.from(data), 0)[0]
}

function read(data: Buffer, at: number): Read {
  const tag = data.readUInt8(at)
  if (tag < 0x80) return [tag, at + 1]
  if (tag < 0x90) return readMap(data, at + 1, tag & 0x0f)
  if (tag < 0xa0) return readList(data, at + 1, tag & 0x0f)
  if (tag < 0xc0) return readText(data, at + 1, tag & 0x1f)
  if (tag >= 0xe0) return [tag - 0x100, at + 1]
  const reader = readers[tag]
  if (reader === undefined) throw new Error(`message pack: no reader for 0x${tag.toString(16)}`)
  return reader(data, at)
}

const readers: Readonly<Record<number, (data: Buffer, at: number) => Read>> = {
  192: (_, at) => [null, at + 1],
  194: (_, at) => [false, at + 1],
  195: (_, at) => [true, at + 1],
  199: (data, at) => raw(data, at, 3 + data.readUInt8(at + 1)),
  200: (data, at) => raw(data, at, 4 + data.readUInt16BE(at + 1)),
  202: (data, at) => [data.readFloatBE(at + 1), at + 5],
  203: (data, at) => [data.readDoubleBE(at + 1), at + 9],
  204: (data, at) => [data.readUInt8(at + 1), at + 2],
  205: (data, at) => [data.readUInt16BE(at + 1), at + 3],
  206: (data, at) => [data.readUInt32BE(at + 1), at + 5],
  207: (data, at) => [exactly(data.readBigUInt64BE(at + 1)), at + 9],
  208: (data, at) => [data.readInt8(at + 1), at + 2],
  209: (data, at) => [data.readInt16BE(at + 1), at + 3],
  210: (data, at) => [data.readInt32BE(at + 1), at + 5],
  211: (data, at) => [exactly(data.readBigInt64BE(at + 1)), at + 9],
  212: (data, at) => raw(data, at, 3),
  213: (data, at) => raw(data, at, 4),
  214: (data, at) => raw(data, at, 6),
  215: (data, at) => raw(data, at, 10),
  216: (data, at) => raw(data, at, 18),
  217: (data, at) => readText(data, at + 2, data.readUInt8(at + 1)),
  218: (data, at) => readText(data, at + 3, data.readUInt16BE(at + 1)),
  219: (data, at) => readText(data, at + 5, data.readUInt32BE(at + 1)),
  220: (data, at) => readList(data, at + 3, data.readUInt16BE(at + 1)),
  221: (data, at) => readList(data, at + 5, data.readUInt32BE(at + 1)),
  222: (data, at) => readMap(data, at + 3, data.readUInt16BE(at + 1)),
  223: (data, at) => readMap(data, at + 5, data.readUInt32BE(at + 1)),
}

function raw(data: Buffer, at: number, length: number): Read {
  return [Uint8Array.from(data.subarray(at, at + length)), at + length]
}

function exactly(whole: bigint): number {
  const number = Number(whole)
  if (!Number.isSafeInteger(number)) throw new Error(`message pack: ${whole} is no safe integer`)
  return number
}

function readText(data: Buffer, at: number, length: number): Read<string> {
  return [data.toString('utf8', at, at + length), at + length]
}

function readList(data: Buffer, start: number, length: number): Read {
  const items: Value[] = []
  let at = start
  for (let index = 0; index < length; index += 1) {
    const [item, next] = read(data, at)
    items.push(item)
    at = next
  }
  return [items, at]
}

function readMap(data: Buffer, start: number, length: number): Read {
  const entries: [string, Value][] = []
  let at = start
  for (let index = 0; index < length; index += 1) {
    const [name, afterName] = read(data, at)
    if (typeof name !== 'string') throw new Error('message pack: the key of a map is no text')
    const [value, next] = read(data, afterName)
    entries.push([name, value])
    at = next
  }
  return [Object.fromEntries(entries), at]
}

/** Writes a message pack. Every length has four bytes and every integer eight: its size does not matter here. */
export function encode(value: Value): Buffer {
  if (value === null) return Buffer.of(0xc0)
  if (typeof value === 'boolean') return Buffer.of(value ? 0xc3 : 0xc2)
  if (typeof value === 'number') return encodeNumber(value)
  if (typeof value === 'string') return sized(0xdb, Buffer.byteLength(value), [Buffer.from(value)])
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (isList(value)) return sized(0xdd, value.length, value.map(encode))
  const entries = Object.entries(value)
  return sized(0xdf, entries.length, entries.flat().map(encode))
}

/** Array.isArray does not narrow a read-only array. */
export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}

function sized(tag: number, length: number, parts: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt8(tag)
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, ...parts])
}

function encodeNumber(value: number): Buffer {
  const out = Buffer.alloc(9)
  if (Number.isSafeInteger(value)) {
    out.writeUInt8(0xd3)
    out.writeBigInt64BE(BigInt(value), 1)
  } else {
    out.writeUInt8(0xcb)
    out.writeDoubleBE(value, 1)
  }
  return out
}

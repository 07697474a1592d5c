/** One field of a message that is being written; an empty buffer where it has its default, which is not sent. */
export type Field = Buffer

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  return Buffer.from([...bytes, rest])
}

/** A whole number that is not negative, or an enum's. */
export function numberField(number: number, value: number): Field {
  return value === 0 ? Buffer.alloc(0) : Buffer.concat([varint(number * 8), varint(value)])
}

export function flagField(number: number, value: boolean | undefined): Field {
  return numberField(number, value === true ? 1 : 0)
}

/** A text, bytes, or another message. */
export function bytesField(number: number, value: string | Uint8Array): Field {
  const data = Buffer.from(value)
  return Buffer.concat([varint(number * 8 + 2), varint(data.length), data])
}

export function message(...fields: readonly Field[]): Buffer {
  return Buffer.concat(fields)
}

const FIXED_LENGTHS: Readonly<Record<number, number>> = { 1: 8, 5: 4 }

/** The texts, bytes and messages in a message, by the number of their field, the last of each; numbers are left out. */
export function readFields(data: Uint8Array): ReadonlyMap<number, Buffer> {
  const buffer = Buffer.from(data)
  const found = new Map<number, Buffer>()
  let at = 0
  const next = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = buffer.readUInt8(at)
      at += 1
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  while (at < buffer.length) {
    const tag = next()
    const wire = tag % 8
    if (wire === 0) next()
    else {
      const length = FIXED_LENGTHS[wire] ?? next()
      if (wire === 2) found.set(Math.floor(tag / 8), buffer.subarray(at, at + length))
      at += length
    }
  }
  return found
}

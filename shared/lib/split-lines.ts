// Node's readline decodes text and also ends lines at U+2028 and U+2029, so it cannot return the bytes of a JSON Lines file.

const LF = 0x0a
const CR = 0x0d
const UTF8_MARK = Buffer.from([0xef, 0xbb, 0xbf])

/** A line of the input, without its line end. */
export interface Line {
  /** From 1. */
  readonly number: number
  /** The first `limit` bytes at most. */
  readonly data: Uint8Array
  /** Of the whole line. */
  readonly byteLength: number
}

/**
 * Splits bytes into lines, and keeps at most `limit` bytes of each line in memory.
 *
 * Only LF ends a line; a CR before it is dropped, and so is a UTF-8 byte order mark before the first line. The last line
 * needs no LF.
 */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<Line> {
  let line = openLine(1, limit)
  for await (const chunk of chunks) {
    let from = 0
    for (let to = chunk.indexOf(LF); to !== -1; to = chunk.indexOf(LF, from)) {
      line.add(chunk.subarray(from, to))
      yield line.end()
      line = openLine(line.number + 1, limit)
      from = to + 1
    }
    line.add(chunk.subarray(from))
  }
  if (!line.isEmpty()) yield line.endOfInput()
}

/** A line that is being read. */
function openLine(number: number, limit: number) {
  // A byte order mark and a CR do not count towards the limit.
  const room = limit + UTF8_MARK.length + 1
  const pieces: Uint8Array[] = []
  let [kept, byteLength, last] = [0, 0, 0]

  function close(ending: number): Line {
    const whole = pieces.length === 1 ? pieces[0] : undefined
    const data = whole ?? Buffer.concat(pieces)
    const mark = number === 1 && UTF8_MARK.equals(data.subarray(0, UTF8_MARK.length)) ? UTF8_MARK.length : 0
    const length = byteLength - mark - ending
    return { number, data: data.subarray(mark, mark + Math.min(length, limit)), byteLength: length }
  }
  return {
    number,
    isEmpty: () => byteLength === 0,
    end: () => close(last === CR ? 1 : 0),
    endOfInput: () => close(0),
    add(piece: Uint8Array): void {
      if (piece.length === 0) return
      const wanted = piece.subarray(0, room - kept)
      if (wanted.length > 0) pieces.push(wanted)
      kept += wanted.length
      byteLength += piece.length
      last = piece[piece.length - 1] ?? 0
    },
  }
}

import { crc32, deflateRawSync } from 'node:zlib'

/** A PDF with a page for each content stream. `root`: the trailer's further entries. */
export function aPdf(
  contents: readonly (string | Buffer)[],
  { trailer = '', stream = '', count = contents.length }: { trailer?: string; stream?: string; count?: number } = {},
): Buffer {
  const page = (n: number) => 4 + 2 * n
  const objects: (string | Buffer)[] = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    `<< /Type /Pages /Count ${count} /Kids [${contents.map((_, n) => `${page(n)} 0 R`).join(' ')}] >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
    ...contents.flatMap((content, n) => [
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Resources << /Font << /F 3 0 R >> >> /Contents ${page(n) + 1} 0 R >>`,
      Buffer.concat([
        Buffer.from(`<< /Length ${content.length} ${stream} >>\nstream\n`),
        Buffer.from(content),
        Buffer.from('\nendstream'),
      ]),
    ]),
  ]
  const pieces = [Buffer.from('%PDF-1.7\n')]
  const offsets: number[] = []
  const length = () => pieces.reduce((sum, piece) => sum + piece.length, 0)
  for (const [at, object] of objects.entries()) {
    offsets.push(length())
    pieces.push(Buffer.from(`${at + 1} 0 obj\n`), Buffer.from(object), Buffer.from('\nendobj\n'))
  }
  const start = length()
  const entries = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('')
  pieces.push(
    Buffer.from(
      `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${entries}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R ${trailer} >>\nstartxref\n${start}\n%%EOF`,
    ),
  )
  return Buffer.concat(pieces)
}

export function pdfText(text: string): string {
  return `BT /F 12 Tf 50 700 Td (${text}) Tj ET`
}

/** A trailer of a PDF that needs a password. */
export const ENCRYPTED = `/Encrypt << /Filter /Standard /V 1 /R 2 /O <${'41'.repeat(32)}> /U <${'42'.repeat(32)}> /P -4 >> /ID [<00> <00>]`

interface Part {
  readonly name: string
  readonly data: Buffer
  /** What the zip file says about its size. */
  readonly stated?: number
}

/** A zip file of deflated parts. */
export function aZip(parts: readonly Part[]): Buffer {
  const [local, central]: [Buffer[], Buffer[]] = [[], []]
  let offset = 0
  for (const { name, data, stated = data.length } of parts) {
    const packed = deflateRawSync(data)
    const fixed = Buffer.alloc(26)
    fixed.writeUInt16LE(20, 0)
    fixed.writeUInt16LE(8, 4)
    fixed.writeUInt32LE(crc32(data), 10)
    fixed.writeUInt32LE(packed.length, 14)
    fixed.writeUInt32LE(stated, 18)
    fixed.writeUInt16LE(name.length, 22)
    const place = Buffer.alloc(14)
    place.writeUInt32LE(offset, 10)
    const piece = Buffer.concat([Buffer.from('PK\x03\x04'), fixed, Buffer.from(name), packed])
    local.push(piece)
    central.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), fixed, place, Buffer.from(name))
    offset += piece.length
  }
  const list = Buffer.concat(central)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(parts.length, 4)
  end.writeUInt16LE(parts.length, 6)
  end.writeUInt32LE(list.length, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...local, list, Buffer.from('PK\x05\x06'), end])
}

/** A Word document with a paragraph. */
export function aDocx(text: string, more: readonly Part[] = []): Buffer {
  const word = 'http://schemas.openxmlformats.org/wordprocessingml/2006/main'
  const types = 'http://schemas.openxmlformats.org/package/2006'
  const main = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument'
  return aZip([
    {
      name: '[Content_Types].xml',
      data: Buffer.from(
        `<Types xmlns="${types}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`,
      ),
    },
    {
      name: '_rels/.rels',
      data: Buffer.from(
        `<Relationships xmlns="${types}/relationships"><Relationship Id="r" Type="${main}" Target="word/document.xml"/></Relationships>`,
      ),
    },
    {
      name: 'word/document.xml',
      data: Buffer.from(
        `<w:document xmlns:w="${word}"><w:body><w:p><w:r><w:t>${text}</w:t></w:r></w:p></w:body></w:document>`,
      ),
    },
    ...more,
  ])
}

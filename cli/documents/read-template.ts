import { open } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { builtInTemplates, findBuiltInTemplate } from '../../shared/job/built-in-templates.ts'
import { MAX_TEMPLATE, parseTemplate, type Template } from '../../shared/job/template.ts'
import { MisuseError } from '../exit-codes.ts'

/** Finds a built-in template by its name, or reads one from a file. Rejects with MisuseError. */
export async function readTemplate(nameOrFile: string): Promise<Template> {
  const builtIn = findBuiltInTemplate(nameOrFile)
  if (builtIn !== undefined) return builtIn
  const bytes = await readStart(nameOrFile).catch((cause: unknown) => {
    const names = builtInTemplates.join(' and ')
    throw new MisuseError(`there is no template ${nameOrFile}: name a file, or one of ${names}, which are built in`, {
      cause,
    })
  })
  const name = basename(nameOrFile, extname(nameOrFile))
  const parsed = parseTemplate(decode(bytes, nameOrFile), name)
  if (!parsed.ok) throw new MisuseError(`the template ${nameOrFile} cannot be used: ${parsed.problem}`)
  return parsed.template
}

/** One byte more than a template may have shows that it is too long. */
async function readStart(path: string): Promise<Buffer> {
  await using file = await open(path)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_TEMPLATE + 1), 0, MAX_TEMPLATE + 1, 0)
  return buffer.subarray(0, bytesRead)
}

function decode(bytes: Buffer, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: bytes.byteLength <= MAX_TEMPLATE }).decode(bytes)
  } catch (cause) {
    throw new MisuseError(`the template ${file} is not text: save it as UTF-8`, { cause })
  }
}

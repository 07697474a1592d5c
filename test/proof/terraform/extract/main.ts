/**
 * Writes test/proof/terraform/schemas from the typed providers on npm, which are far too large to be installed for tests:
 *
 *   node test/proof/terraform/extract/main.ts
 *
 * It packs each into a folder of its own, keeps the types that wanted.ts names, and removes the folder.
 */
import { execFileSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { type ProviderSchema, SCHEMAS, type Schema, type SchemaFile, schemaFile } from '../provider/schema.ts'
import { readSchemaBlock, type Source } from './read-block.ts'
import { type Wanted, wanted } from './wanted.ts'

const manifest = z.object({ cdktf: z.object({ provider: z.object({ name: z.string(), version: z.string() }) }) })
const sourceMap = z.object({ sourcesContent: z.array(z.string()).min(1) })

/** The source of a compiled module: its map holds it, with the comments that the compiler took away. */
function readSource(path: string): Source {
  const [, map = ''] =
    /^\/\/# sourceMappingURL=data:application\/json;base64,(\S+)/m.exec(readFileSync(path, 'utf8')) ?? []
  return sourceMap.parse(JSON.parse(Buffer.from(map, 'base64').toString())).sourcesContent[0] ?? ''
}

/** Unpacks a package into the folder, and returns its path. */
function unpack(folder: string, { package: name, version }: Wanted): string {
  const args = ['pack', `${name}@${version}`, '--silent']
  const archive = execFileSync('npm', args, { cwd: folder, encoding: 'utf8' }).trim()
  execFileSync('tar', ['xzf', archive], { cwd: folder })
  return join(folder, 'package')
}

function readPackage(folder: string, prefix: string, { resources, dataSources }: Wanted): ProviderSchema {
  const modules = new Map<string, string>()
  for (const path of globSync('lib/*/index.d.ts', { cwd: folder })) {
    const [, type] = /tfResourceType = "(\w+)"/.exec(readFileSync(join(folder, path), 'utf8')) ?? []
    const kind = path.startsWith('lib/data-') ? 'data ' : ''
    if (type !== undefined) modules.set(`${kind}${type}`, path.replace('.d.ts', '.js'))
  }
  const schemaOf = (key: string): Schema => {
    const path = modules.get(key)
    if (path === undefined) throw new Error(`${prefix} has no ${key}`)
    return { block: readSchemaBlock(readSource(join(folder, path))) }
  }
  return {
    provider: { block: readSchemaBlock(readSource(join(folder, 'lib/provider/index.js'))) },
    resource_schemas: Object.fromEntries(resources.map((type) => [type, schemaOf(type)])),
    data_source_schemas: Object.fromEntries(dataSources.map((type) => [type, schemaOf(`data ${type}`)])),
  }
}

for (const [name, choice] of Object.entries(wanted)) {
  const folder = mkdtempSync(join(tmpdir(), 'schemas-'))
  try {
    const unpacked = unpack(folder, choice)
    const { cdktf } = manifest.parse(JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8')))
    const file: SchemaFile = {
      format_version: '1.0',
      package: `${choice.package}@${choice.version}`,
      version: cdktf.provider.version,
      provider_schemas: { [cdktf.provider.name]: readPackage(unpacked, name, choice) },
    }
    const path = join(SCHEMAS, `${name}.json`)
    writeFileSync(path, JSON.stringify(schemaFile.parse(file)))
    execFileSync('npx', ['biome', 'format', '--write', path])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

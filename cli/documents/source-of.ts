import { normalize } from 'node:path'
import { sha256 } from '../../shared/lib/sha256.ts'
import type { LineOptions } from './make-lines.ts'

/** Names what jobs are made of, without its content: the same inputs, template and model are the same source. */
export function sourceOf(
  inputs: readonly string[],
  { template, model }: Pick<LineOptions, 'template' | 'model'>,
): string {
  const names = [...new Set(inputs.map(nameOf))].sort()
  const parts = [names, template.name, model ?? template.model ?? '']
  return Buffer.from(sha256(JSON.stringify(parts))).toString('hex')
}

/** `docs`, `docs/` and `./docs` are one folder. An address is taken as it is. */
function nameOf(input: string): string {
  return input.startsWith('gs://') ? input : normalize(input).replace(/(?<=.)[/\\]$/, '')
}

import { type FileHandle, open, rm, stat } from 'node:fs/promises'
import { printable } from '../../shared/lib/printable.ts'
import { PRIVATE_FILE } from '../../shared/lib/private-files.ts'
import { formats } from './formats.ts'
import type { FailureFile } from './write-results.ts'

/** Opens an OpenAI Batch error file. It is created with the first failure; an older file is deleted. */
export async function openFailureFile(path: string): Promise<FailureFile & AsyncDisposable & { count(): number }> {
  // A device, such as /dev/null, or a pipe is written to as it is.
  if ((await stat(path).catch(() => undefined))?.isFile()) await rm(path)
  let file: FileHandle | undefined
  let count = 0
  return {
    async write(result) {
      file ??= await open(path, 'w', PRIVATE_FILE)
      for (const piece of formats.jsonl.write(result)) await file.write(printable(piece))
      count += 1
    },
    count: () => count,
    [Symbol.asyncDispose]: async () => file?.close(),
  }
}

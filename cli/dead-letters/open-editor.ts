import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Environment } from '../../shared/config/rules.ts'
import { PRIVATE_FILE } from '../../shared/lib/private-files.ts'
import { canAsk } from '../confirm.ts'
import { MisuseError } from '../exit-codes.ts'

/** A file that a person edits. Only the owner may read it, because it holds a prompt. */
export interface EditedFile {
  readonly path: string
  /** Writes the text, and resolves with what is there when the editor ends. Rejects if the editor fails. */
  edit(text: string): Promise<string>
  remove(): Promise<void>
}

/** Throws MisuseError if no editor is set and there is no terminal for the usual one. */
export async function openEditedFile({ VISUAL, EDITOR }: Environment): Promise<EditedFile> {
  const editor = VISUAL?.trim() || EDITOR?.trim() || (canAsk() ? 'vi' : undefined)
  if (editor === undefined) throw new MisuseError('set EDITOR, or name the edited job with --file')
  const folder = await mkdtemp(join(tmpdir(), 'promptbridge-edit-'))
  const path = join(folder, 'job.json')
  return {
    path,
    async edit(text) {
      await writeFile(path, text, { mode: PRIVATE_FILE })
      // EDITOR may have arguments, as in `code --wait`.
      const child = spawn(`${editor} "${path}"`, { shell: true, stdio: 'inherit' })
      const [code] = await once(child, 'close')
      if (code !== 0) throw new Error(`the editor ended with ${code}; nothing was replayed`)
      return readFile(path, 'utf8')
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

import { join } from 'node:path'
import { readStoresConfig } from '../../shared/config/config.ts'
import type { Environment } from '../../shared/config/rules.ts'
import { SETTINGS_FILE, withSettingsFile } from '../../shared/config/settings-file.ts'
import { MisuseError } from '../exit-codes.ts'
import { printNote } from '../print.ts'
import { nameStoreOption } from '../with-stores.ts'

/** The folder of the logs, and of the file of the store if no other is named. */
export const FOLDER = '.promptbridge'
/** The answers of the stand-in never get among those that were paid for. */
const FILES = { own: join(FOLDER, 'promptbridge.db'), demo: join(FOLDER, 'run-demo.db') }

export interface RunStoreOptions {
  readonly store?: string
  readonly demo?: true
}

/** The file of a run. */
export interface RunStore {
  readonly path: string
  /** The value of `--store` that other commands need here. Undefined: they find the file by themselves. */
  readonly option: string | undefined
}

/**
 * Finds the file by `--store`, then by STORE. A STORE in Firestore is that of a worker elsewhere, so it is named and not used.
 *
 * Throws MisuseError if `--store` names no file, and ConfigError.
 */
export function findRunStore({ store, demo }: RunStoreOptions, environment: Environment): RunStore {
  if (demo) return { path: FILES.demo, option: `sqlite:${FILES.demo}` }
  const given = store ?? withSettingsFile(environment, SETTINGS_FILE).environment['STORE']
  if (!given?.trim()) return { path: FILES.own, option: undefined }
  const settings = { STORE: given, GOOGLE_CLOUD_PROJECT: 'not-used' }
  const { store: found } = nameStoreOption(store === undefined ? {} : { store }, () => readStoresConfig(settings))
  if (found.kind === 'sqlite') return { path: found.path, option: store && given }
  if (store !== undefined) {
    throw new MisuseError(
      'run works on this machine, so --store must be sqlite:PATH; for Firestore use submit and a worker there',
    )
  }
  printNote(`store: sqlite:${FILES.own}, because run cannot use STORE=${given}`)
  return { path: FILES.own, option: `sqlite:${FILES.own}` }
}

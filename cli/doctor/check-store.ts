import { constants, existsSync } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { StoreConfig } from '../../shared/config/config.ts'
import { statusOf } from '../../shared/lib/grpc-status.ts'
import { quote } from '../../shared/lib/quote.ts'
import { openSqliteReadOnly, whenFree } from '../../shared/lib/sqlite.ts'
import type { Database } from '../../shared/stores/firestore/database.ts'
import { databaseFlag, describePlace, type FirestorePlace, placeOf } from './firestore-place.ts'
import { describeIndex, fixIndexes } from './fix-indexes.ts'
import { type Asker, describeStatus, fixStatus } from './google-answers.ts'
import type { Finding } from './step.ts'

/** Checks that records can be read and written, without writing one. `emulator`: HOST:PORT of Firestore's emulator. */
export function checkStore(store: StoreConfig, asker: Asker, emulator: string | undefined): Promise<Finding> {
  return store.kind === 'sqlite' ? checkFile(store.path) : checkFirestore(placeOf(store), asker, emulator)
}

const PERMISSION_DENIED = 7
const WORKER_WRITES = 'whether the worker may (roles/datastore.user) was not checked.'

/** Google's libraries are loaded only when they are needed. */
async function checkFirestore(place: FirestorePlace, asker: Asker, emulator: string | undefined): Promise<Finding> {
  const { openDatabase } = await import('../../shared/stores/firestore/database.ts')
  const { checkAccess } = await import('../../shared/stores/firestore/check-access.ts')
  const database = openDatabase({ ...place, emulator })
  try {
    const found = await checkAccess(database)
    const where = `Firestore of ${describePlace(place)}${emulator === undefined ? '' : ' (the emulator)'}`
    if (found.kind === 'granted') return await checkIndexes(database, where, place, asker)
    if (found.kind === 'write' && found.status === PERMISSION_DENIED && !asker.isWorker)
      return { ok: null, seen: `${where} can be read. This login may not write: ${WORKER_WRITES}` }
    return refused(`${where}: ${describeStatus(found.status)} to a ${found.kind}`, found.status, place, asker)
  } finally {
    // An error of the close adds nothing to the result.
    await database.close().catch(() => undefined)
  }
}

function refused(seen: string, status: unknown, place: FirestorePlace, asker: Asker): Finding {
  const { project, database } = place
  const fixes = {
    role: 'roles/datastore.user',
    condition: `expression=resource.name=="projects/${project}/databases/${database}",title=promptbridge records`,
    notFound: `gcloud firestore databases create --project=${quote(project)}${databaseFlag(place)} --location=REGION`,
  }
  return {
    ok: false,
    seen,
    expected: `a ${database} database in which the worker may read and write (roles/datastore.user); FIRESTORE_DATABASE names it`,
    fix: fixStatus(status, 'firestore.googleapis.com', asker, fixes),
  }
}

/** Finds a missing index here. Otherwise it is found by the first query that needs it, such as one of a sweep. */
async function checkIndexes(database: Database, where: string, place: FirestorePlace, asker: Asker): Promise<Finding> {
  const { findMissingIndexes } = await import('../../shared/stores/firestore/check-indexes.ts')
  const missing = await findMissingIndexes(database).catch((error: unknown) => ({ error }))
  if ('error' in missing) {
    const status = statusOf(missing.error instanceof Error ? missing.error.cause : undefined)
    return refused(`${where}: ${describeStatus(status)} to a query`, status, place, asker)
  }
  if (missing.length === 0) return { ok: true, seen: `${where} can be read and written`, value: undefined }
  return {
    ok: false,
    seen: `${where} can be read and written, and lacks an index of ${missing.map(describeIndex).join(' and of ')}`,
    expected: 'all indexes of deploy/firestore.indexes.json exist and are built',
    fix: fixIndexes(missing, place),
  }
}

async function checkFile(path: string): Promise<Finding> {
  const folder = dirname(path)
  const failed = (seen: string, fix: string): Finding => ({
    ok: false,
    seen,
    expected: `a database file at ${path} that this process can read and write, or a folder in which it can create the file`,
    fix,
  })
  if (!(await mayWrite(folder))) {
    return failed(
      `the folder ${folder} does not exist, or this process has no access to it`,
      `mkdir -p ${quote(folder)}`,
    )
  }
  if (!existsSync(path)) return { ok: true, seen: `the worker creates ${path} when it starts`, value: undefined }
  if (!(await mayWrite(path))) return failed(`this process cannot read and write ${path}`, `chmod u+rw ${quote(path)}`)
  try {
    const db = openSqliteReadOnly(path)
    try {
      await whenFree(() => db.prepare('SELECT COUNT(*) FROM sqlite_schema').get())
    } finally {
      db.close()
    }
    return { ok: true, seen: `${path} can be read and written${await readableByOthers(path)}`, value: undefined }
  } catch {
    return failed(
      `${path} is not a database, or another process keeps it locked`,
      'Name another file in STORE, or end the process that locks it.',
    )
  }
}

/** Not a failure, because users of one group may share a file. Windows has no such modes. */
async function readableByOthers(path: string): Promise<string> {
  const mode = (await stat(path)).mode & 0o777
  if (process.platform === 'win32' || (mode & 0o077) === 0) return ''
  const others = `its mode is ${mode.toString(8)}, so other users of this machine may be able to read the prompts and answers in it`
  return `; ${others} (to allow only its owner: chmod 600 ${quote(path)}*)`
}

async function mayWrite(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}

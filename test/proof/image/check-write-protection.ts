import { runContainer } from './container.ts'
import type { Image } from './perform-stages.ts'

/** Says which user it is and in which folders it could make a file. */
const TRY_TO_WRITE = `
const { writeFileSync } = require('node:fs')
const could = []
for (const folder of ['/', '/tmp', '/app', '/app/dist', '/app/compile-cache', '/state']) {
  try { writeFileSync(folder + '/tried', ''); could.push(folder) } catch {}
}
console.log(JSON.stringify({ uid: process.getuid(), groups: process.getgroups(), could }))`

/** Throws where the image's user can write into the image, or is another than the image says. */
export async function checkWriteProtection({ root, workdir, uid, gid, env, entrypoint }: Image): Promise<void> {
  const place = { root, workdir, uid, gid, env, isReadOnly: true }
  const { code, output } = await runContainer([...entrypoint, '--eval', TRY_TO_WRITE], place)
  const expected = JSON.stringify({ uid, groups: [gid], could: [] })
  if (code !== 0 || output.trim() !== expected) throw new Error(`expected ${expected}, found ${output}`)
  if (uid === 0) throw new Error('the image runs as root')
}

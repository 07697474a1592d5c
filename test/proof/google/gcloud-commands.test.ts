import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { z } from 'zod'
import { forwardingGrants, invokerGrant } from '../../../cli/doctor/check-grants.ts'
import { checkInvokers } from '../../../cli/doctor/check-invokers.ts'
import { createLine } from '../../../cli/doctor/judge-subscription.ts'
import type { ReadPolicy } from '../../../cli/doctor/read-policy.ts'
import { gcloudCommands, literals, shellBlocks } from '../../support/shell-blocks.ts'

const page = (path: string) => readFileSync(join(import.meta.dirname, '../../..', path), 'utf8')

const lint = z.array(
  z.object({ command_string: z.string(), success: z.boolean(), error_message: z.string().nullable() }),
)

const folder = mkdtempSync(join(tmpdir(), 'gcloud-'))
after(() => rmSync(folder, { recursive: true }))

/** What gcloud itself, offline, has against commands. */
const refused = async (commands: readonly string[]) => {
  const file = join(folder, 'commands.json')
  writeFileSync(file, JSON.stringify(commands.map((command) => ({ command_string: command }))))
  const options = { env: { ...process.env, CLOUDSDK_CONFIG: folder }, maxBuffer: 200_000_000 }
  const args = ['meta', 'lint-gcloud-commands', `--commands-file=${file}`]
  const { stdout } = await promisify(execFile)('gcloud', args, options)
  const checked = lint.parse(JSON.parse(stdout))
  assert.deepEqual(
    checked.map(({ command_string }) => command_string),
    [...new Set(commands)],
  )
  return checked.flatMap(({ success, command_string, error_message }) =>
    success ? [] : [`${command_string}: ${error_message?.split('\n')[0]}`],
  )
}

test('a planted mistake in a command is found, wherever it stands', async () => {
  const planted = [
    'gcloud pubsub topics create jobs --projekt=p',
    'A=$(gcloud run services describe x --format="value($(gcloud confg get-value account))")',
    'jq x | while read -r A; do',
    '  gcloud run deploy w --image="$IMAGE" --ingress=inside < /dev/null',
    'done',
  ].join('\n')
  const found = await refused(gcloudCommands(planted))
  assert.equal(found.length, 3, found.join('\n'))
  for (const mistake of ['projekt', 'confg', 'inside'])
    assert.ok(
      found.some((line) => line.includes(mistake)),
      mistake,
    )
})

for (const path of ['docs/set-up.md', 'docs/federation.md', 'docs/events.md']) {
  test(`gcloud knows every command of ${path}`, async () => {
    const shell = shellBlocks(page(path)).join('\n')
    const commands = gcloudCommands(shell, new Map([...literals(shell), ['URL', 'https://worker.example.com']]))
    assert.equal(commands.length, shell.match(/\bgcloud /g)?.length)
    assert.deepEqual(await refused(commands), [])
  })
}

test('gcloud knows the commands that the doctor prints', async () => {
  const push = { audience: 'https://a', serviceAccount: 'push@p.iam.gserviceaccount.com' }
  const wanted = { project: 'p', push, ackDeadlineSeconds: 600 }
  const grants = [
    ...forwardingGrants('p', 'dead-letter', ['projects/p/subscriptions/jobs']),
    invokerGrant({ project: 'p', region: 'r', name: 'worker' }, push.serviceAccount),
  ]
  const printed = [
    createLine('jobs', { ...wanted, path: '/push', deadLetterTopic: 'dead-letter' }),
    createLine('dead-letter', { ...wanted, path: '/dead-letter', deadLetterTopic: undefined }),
    ...grants.map(({ command, member, roles: [role] }) => `${command} --member=${member.flag} --role=${role}`),
    ...(await linesThatCloseTheService(push)),
  ].flatMap((line) => gcloudCommands(line))
  assert.equal(printed.length, 10)
  assert.deepEqual(await refused(printed), [])
})

/** What the doctor prints for a service that everyone may call, in each of the ways. */
async function linesThatCloseTheService(push: { readonly audience: string; readonly serviceAccount: string }) {
  const service = { project: 'p', region: 'r', name: 'worker' }
  const pushAuth = { mode: 'cloud-run-iam', ...push } as const
  const policies = {
    run: [{ role: 'roles/run.invoker', members: ['allUsers'] }],
    cloudresourcemanager: [{ role: 'roles/run.invoker_withcond_0a1b', members: ['user:a@example.com'] }],
    pubsub: [],
  }
  const read: ReadPolicy = async ({ api }) => policies[api]
  const access = { service, pushAuth, invokerCheckDisabled: true }
  const finding = await checkInvokers(access, read, new AbortController().signal)
  return finding.ok === false ? finding.fix.split('\n') : []
}

import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { parseEnv, promisify } from 'node:util'
import { z } from 'zod'
import { breaks } from '../../cli/demo/breaks.ts'
import { forwardingGrants, invokerGrant } from '../../cli/doctor/check-grants.ts'
import { createLine } from '../../cli/doctor/judge-subscription.ts'
import { readConfig } from '../../shared/config.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import { sha256 } from '../../shared/sha256.ts'
import { gcloudCommands, literals, shellBlocks, unsetVariables } from '../support/shell-blocks.ts'

const root = join(import.meta.dirname, '../..')
const page = (path: string) => readFileSync(join(root, path), 'utf8')
const setUp = page('docs/set-up.md')
const blocks = shellBlocks(setUp)

test('every variable of the page is set before it is read', () => {
  const known = new Set<string>()
  for (const block of blocks) {
    assert.deepEqual(unsetVariables(block, known), [], block)
    for (const [, name = ''] of block.matchAll(/^\s*([A-Z_]+)=/gm)) known.add(name)
  }
  assert.ok(known.size > 10)
  assert.deepEqual(unsetVariables('A=1\necho "$A" "$B"', new Set()), ['B'])
})

test('the settings that the page writes are enough to start with', () => {
  const [, yaml = ''] = /^cat > worker\.env\.yaml <<END\n([\s\S]*?)^END$/m.exec(setUp) ?? []
  const values: Readonly<Record<string, string>> = { CLIENT_ID: '00000000-0000-0000-0000-000000000000' }
  const lines = yaml
    .replaceAll(/\$(\w+)/g, (_, name: string) => values[name] ?? name.toLowerCase().replaceAll('_', '-'))
    .replaceAll(/^(\w+): /gm, '$1=')
  assert.equal(readConfig(parseEnv(lines)).pushAuth.mode, 'cloud-run-iam')
})

test('the first job is one', () => {
  const [, line = ''] = /^echo '(.+)' > first\.jsonl$/m.exec(setUp) ?? []
  assert.equal(parseJob(Buffer.from(line), { batch: 'first' }, sha256).ok, true)
})

describe('the ten most likely mistakes', () => {
  const rows = [...setUp.matchAll(/^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].slice(1)
  const quoted = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)

  test('are ten', () => assert.equal(rows.length, 10))

  test('that can be shown on one machine fail at the step that the page names', () => {
    const shown = rows.flatMap(([, , steps, , names]) => quoted(names).map((name) => [name, quoted(steps)] as const))
    assert.ok(shown.length >= 6)
    for (const [name, steps] of shown) {
      const fails = breaks.get(name)?.fails
      assert.ok(
        fails?.some((step) => steps.includes(step)),
        `${name}: ${fails}, not ${steps}`,
      )
    }
  })

  test('that cannot be are named as the doctor names its steps', () => {
    const source = ['check-grants', 'check-queue', 'judge-subscription', 'run-doctor'].map((file) =>
      page(`cli/doctor/${file}.ts`),
    )
    const others = rows.flatMap(([, , steps, , names]) => (quoted(names).length === 0 ? quoted(steps) : []))
    assert.ok(others.length >= 6)
    const parts = others.flatMap((step) => step.replace(' …', '').split(/(?<=subscription): /))
    for (const part of parts)
      assert.ok(
        source.some((text) => text.includes(part)),
        part,
      )
  })
})

describe('links between the pages lead somewhere', () => {
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-')
  const anchors = (path: string) => [...page(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => slug(heading))
  const pages = ['README.md', 'docs/set-up.md', 'docs/federation.md', 'docs/architecture.md']
  for (const from of pages) {
    test(from, () => {
      const links = [...page(from).matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)]
      assert.ok(links.length > 0)
      for (const [link, file = '', anchor = ''] of links) {
        const to = file === '' ? from : join(from, '..', file)
        assert.ok(anchors(to).includes(anchor), `${link} in ${from}`)
      }
    })
  }
})

const lint = z.array(
  z.object({ command_string: z.string(), success: z.boolean(), error_message: z.string().nullable() }),
)

if (spawnSync('which', ['gcloud']).status !== 0) {
  test('the gcloud commands of the pages: not checked here, gcloud not found', { skip: true })
} else {
  const folder = mkdtempSync(join(tmpdir(), 'gcloud-'))
  after(() => rmSync(folder, { recursive: true }))

  /** What gcloud itself, offline, has against commands. */
  const refused = async (commands: readonly string[]) => {
    const file = join(folder, 'commands.json')
    writeFileSync(file, JSON.stringify(commands.map((command) => ({ command_string: command }))))
    const options = { env: { ...process.env, CLOUDSDK_CONFIG: folder }, timeout: 60_000, maxBuffer: 200_000_000 }
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

  for (const path of ['docs/set-up.md', 'docs/federation.md']) {
    test(`gcloud knows every command of ${path}`, async () => {
      const shell = shellBlocks(page(path)).join('\n')
      const commands = gcloudCommands(shell, new Map([...literals(shell), ['URL', 'https://worker.example.com']]))
      assert.equal(commands.length, shell.match(/\bgcloud /g)?.length)
      assert.deepEqual(await refused(commands), [])
    })
  }

  test('gcloud knows the commands that the doctor tells', async () => {
    const push = { audience: 'https://a', serviceAccount: 'push@p.iam.gserviceaccount.com' }
    const wanted = { project: 'p', push, ackDeadlineSeconds: 600 }
    const grants = [
      ...forwardingGrants('p', 'dead-letter', ['projects/p/subscriptions/jobs']),
      invokerGrant({ project: 'p', region: 'r', name: 'worker' }, push.serviceAccount),
    ]
    const told = [
      createLine('jobs', { ...wanted, path: '/push', deadLetterTopic: 'dead-letter' }),
      createLine('dead-letter', { ...wanted, path: '/dead-letter', deadLetterTopic: undefined }),
      ...grants.map(({ command, member, roles: [role] }) => `${command} --member=${member.flag} --role=${role}`),
    ].flatMap((line) => gcloudCommands(line))
    assert.equal(told.length, 7)
    assert.deepEqual(await refused(told), [])
  })
}

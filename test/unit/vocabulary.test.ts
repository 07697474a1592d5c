import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { ownFiles, walk } from '../support/own-files.ts'

const ROOT = join(import.meta.dirname, '../..')
const EXTENSIONS = /\.(ts|mts|md|tf)$/
/** Names of the past, text that other organisations wrote, and the list below. */
const EXCLUDED =
  /^(CHANGELOG\.md$|test\/fixtures\/|test\/proof\/terraform\/(fixtures|schemas)\/|local\/(.+\/)?fixtures\/|test\/unit\/vocabulary\.test\.ts$)/
const hasWords = (path: string) => EXTENSIONS.test(path)

/** Words and phrases that are not used, each row with what is used instead. */
const REFUSED: readonly (readonly [refused: string, instead: string])[] = [
  ['mend mends mended mending', 'fix'],
  ['heed heeds heeded heeding', 'apply'],
  ['heal heals healed healing', 'recover'],
  ['surroundings', 'dependencies'],
  ['anew', 'again'],
  ['whoever', 'the role by its name, such as the operator or the caller'],
  ['nobody', 'the role by its name, such as no caller or no instance'],
  ['worsen worsens worsened worsening', 'fail again'],
  ['setback setbacks', 'outage or failed attempt'],
  ['aftermath', 'evidence'],
  ['deaf', 'the state by its name, such as not listening'],
  ['on+trial', 'unverified'],
  ['put+off', 'deferred'],
  ['carried+work', 'background work'],
]
/** Refused as one name; as words of a sentence they are plain. */
const REFUSED_NAME = 'let in'
const INSTEAD = new Map([
  ...REFUSED.flatMap(([row, instead]) =>
    row.split(' ').map((refused) => [refused.replace('+', ' '), instead] as const),
  ),
  [REFUSED_NAME, 'recovered or accessRestored'],
])

interface Word {
  /** In lower case. */
  readonly word: string
  /** Counts from 1. */
  readonly line: number
  /** Whether it continues the name that the word before it belongs to. */
  readonly isJoined: boolean
}

interface Use {
  readonly line: number
  readonly found: string
  readonly instead: string
}

/** Splits text into words: at spaces and signs, and inside names at hyphens, underscores, digits and capitals. */
function wordsOf(text: string): Word[] {
  return text.split('\n').flatMap((line, at) =>
    [...line.matchAll(/[\p{L}\d]+(?:[-_]+[\p{L}\d]+)*/gu)].flatMap(([name]) => {
      const words = name.match(/\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+|\p{Lo}+/gu) ?? []
      return words.map((word, index) => ({ word: word.toLowerCase(), line: at + 1, isJoined: index > 0 }))
    }),
  )
}

/** Finds refused words. A phrase may be broken over two lines, or be one name. */
function refusedIn(text: string): Use[] {
  return wordsOf(text).flatMap(({ word, line }, at, words) => {
    const next = words[at + 1]
    const phrase = `${word} ${next?.word}`
    return [word, phrase].flatMap((found) => {
      const instead = INSTEAD.get(found)
      const isPlain = found === REFUSED_NAME && next?.isJoined !== true
      return instead === undefined || isPlain ? [] : [{ line, found, instead }]
    })
  })
}

describe('vocabulary', () => {
  const planted: Readonly<Record<string, readonly [text: string, found: string]>> = {
    'a word of a sentence': ['// The run is tried anew.', 'anew'],
    'a word with a capital': ['Nobody holds the lease.', 'nobody'],
    'a possessive': ["it is nobody's claim", 'nobody'],
    'a constant': ["const NOBODY = 'x'", 'nobody'],
    'the start of a camelCase name': ['const mendIndexes = 1', 'mend'],
    'the end of a camelCase name': ['toHeal()', 'heal'],
    'the middle of a camelCase name': ['isGateHealedNow', 'healed'],
    'a PascalCase name': ['interface WorkerSurroundings {}', 'surroundings'],
    'a name with an acronym': ['const toHTTPMend = 1', 'mend'],
    'an acronym before a word': ['IAMSetback', 'setback'],
    'a name with a digit': ['mend2', 'mend'],
    'a kebab-case name': ['pb-heeded-at', 'heeded'],
    'a snake_case name': ['worsened_at', 'worsened'],
    'a constant in SCREAMING_CASE': ['MAX_SETBACKS', 'setbacks'],
    'a file name': ['cli/doctor/mend-indexes.ts', 'mend'],
    'a key of an object': ['{ mend: line }', 'mend'],
    'a phrase': ['The token is on trial.', 'on trial'],
    'a phrase as a name': ['isOnTrial', 'on trial'],
    'a phrase over two lines of a comment': [' * The job is put\n * off until later.', 'put off'],
    'a name of two words': ['const letIn = true', 'let in'],
    'a kebab-case name of two words': ['let-in', 'let in'],
  }
  for (const [name, [text, found]] of Object.entries(planted)) {
    test(`refuses ${name}: ${JSON.stringify(text)}`, () => {
      const words = refusedIn(text).map((use) => use.found)
      assert.deepEqual(words, [found])
    })
  }

  for (const text of [
    'healthy',
    'recommended',
    'amendment',
    'iamEndpoint',
    'deafening',
    'let in',
    'put it off',
    'a trial',
  ]) {
    test(`accepts ${JSON.stringify(text)}`, () => assert.deepEqual(refusedIn(text), []))
  }

  test('splits a name into its words, with their lines', () => {
    const words = wordsOf('parseHTTPReply2\n  retry_after-ms').map(({ word, line, isJoined }) =>
      isJoined ? `+${word}` : `${line}:${word}`,
    )
    assert.equal(words.join(' '), '1:parse +http +reply 2:retry +after +ms')
  })

  test('reports a phrase at the line where it begins', () => {
    assert.deepEqual(refusedIn('one\n * put\n * off'), [{ line: 2, found: 'put off', instead: 'deferred' }])
  })

  test('lists the same files with and without git', () => {
    const walked = new Set(walk(ROOT).filter(hasWords))
    const listed = ownFiles(ROOT).filter(hasWords)
    assert.ok(listed.includes('cli/main.ts') && listed.includes('deploy/terraform/main.tf'))
    const unwalked = listed.filter((path) => !walked.has(path) && !path.startsWith('.'))
    assert.deepEqual(unwalked, [])
  })

  test('no file uses a refused word, in its text or its name', () => {
    const uses = ownFiles(ROOT)
      .filter(hasWords)
      .filter((path) => !EXCLUDED.test(path))
      .flatMap((path) => [
        ...refusedIn(path).map((use) => ({ ...use, path, line: 0 })),
        ...refusedIn(readFileSync(join(ROOT, path), 'utf8')).map((use) => ({ ...use, path })),
      ])
    const reported = uses.map(({ path, line, found, instead }) => `${path}:${line}: "${found}"; use: ${instead}`)
    assert.deepEqual(reported, [])
  })
})

import { readFileSync } from 'node:fs'
import { run } from 'node:test'
import { testsOf } from './tests-of.ts'

/** As Stryker names it to a command; none while it sees whether the tests pass at all. */
const mutant = process.env['__STRYKER_ACTIVE_MUTANT__']

/** Every mutant stands in its file beside a question for its number. */
const holdsMutant = (file: string) => new RegExp(`stryMutAct_\\w+\\("${mutant}"\\)`).test(readFileSync(file, 'utf8'))

const mutated = Object.keys(testsOf).filter((file) => mutant === undefined || holdsMutant(file))
// A mutant without a file is given to all tests: to fail here would count as a mutant that was caught.
const names = mutated.length === 0 ? Object.values(testsOf).flat() : mutated.flatMap((file) => testsOf[file] ?? [])

/** Ends at the first test that fails: the others are not needed any more. */
run({ files: names.map((name) => `test/unit/${name}.test.ts`), isolation: 'none' })
  .on('test:fail', ({ name, details }) => {
    console.error(`${name}: ${details.error.cause ?? details.error}`)
    process.exit(1)
  })
  .resume()

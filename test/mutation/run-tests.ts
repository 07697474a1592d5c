import { readFileSync } from 'node:fs'
import { run } from 'node:test'

/** The unit tests to which each file's mutants are given; none may need a test of another file to be found. */
const testsOf: Readonly<Record<string, readonly string[]>> = {
  'shared/job/claim.ts': ['job-claim'],
  'shared/job/failures.ts': ['job-failures'],
  'shared/job/forwarded.ts': ['job-forwarded'],
  'shared/job/exact-numbers.ts': ['job-exact-numbers', 'job-parse'],
  'shared/job/job.ts': ['job-key', 'job-usage'],
  'shared/job/output-cap.ts': ['job-output-cap'],
  'shared/job/push-time.ts': ['config'],
  'shared/job/parse-job.ts': ['job-parse', 'job-output-cap'],
  'shared/job/record.ts': ['job-record'],
  'shared/identity/renewal.ts': ['identity-renewal'],
  'worker/model/circuit.ts': ['worker-circuits'],
  'worker/model/answers.ts': ['worker-circuits'],
}

/** As Stryker names it to a command; none while it sees whether the tests pass at all. */
const mutant = process.env['__STRYKER_ACTIVE_MUTANT__']

/** Every mutant stands in its file beside a question for its number. */
const holdsMutant = (file: string) => new RegExp(`stryMutAct_\\w+\\("${mutant}"\\)`).test(readFileSync(file, 'utf8'))

const mutated = Object.keys(testsOf).filter((file) => mutant === undefined || holdsMutant(file))
// A mutant that nobody finds is given to all: to fail here would count as having found it.
const names = mutated.length === 0 ? Object.values(testsOf).flat() : mutated.flatMap((file) => testsOf[file] ?? [])

/** Ends at the first test that fails: what the others say of a mutant is not asked any more. */
run({ files: names.map((name) => `test/unit/${name}.test.ts`), isolation: 'none' })
  .on('test:fail', ({ name, details }) => {
    console.error(`${name}: ${details.error.cause ?? details.error}`)
    process.exit(1)
  })
  .resume()

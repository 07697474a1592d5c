/** The unit tests to which each file's mutants are given; none may need a test of another file to be found. */
export const testsOf: Readonly<Record<string, readonly string[]>> = {
  'shared/job/claim.ts': ['job-claim'],
  'shared/job/failures.ts': ['job-failures'],
  'shared/job/forwarded.ts': ['job-forwarded'],
  'shared/job/body-fields.ts': ['azure-openai-body-fields'],
  'shared/job/json-limits.ts': ['job-json-limits'],
  'shared/job/exact-numbers.ts': ['job-exact-numbers', 'job-parse'],
  'shared/job/job.ts': ['job-key', 'job-usage'],
  'shared/job/output-cap.ts': ['job-output-cap'],
  'shared/job/push-time.ts': ['config'],
  'shared/job/parse-job.ts': ['job-parse', 'job-output-cap'],
  'shared/job/record.ts': ['job-record'],
  'shared/identity/renewal.ts': ['identity-renewal'],
  'shared/models/circuit.ts': ['worker-circuits'],
  'shared/models/answers.ts': ['worker-circuits'],
}

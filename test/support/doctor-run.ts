import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach } from 'node:test'
import { type DoctorDependencies, type DoctorOptions, runDoctor } from '../../cli/doctor/run-doctor.ts'
import type { Step } from '../../cli/doctor/step.ts'
import { type Cloud, type CloudOverrides, clearFaults, startCloud } from './stand-ins.ts'

type Settings = Readonly<Record<string, string>>
type Overrides = Partial<Omit<DoctorDependencies, 'environment' | 'onStep'>>

/** A cloud, a folder and a store for the doctor of one test file. A fault ends with its test, all else with the file. */
export async function openDoctor({ entra, ...overrides }: CloudOverrides = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'doctor-'))
  const cloud = await startCloud({ ...overrides, entra: { caPath: join(folder, 'entra.pem'), ...entra } })
  const STORE = `sqlite:${join(folder, 'state.db')}`
  after(async () => {
    await cloud.close()
    await rm(folder, { recursive: true })
  })
  afterEach(async () => {
    for (const standIn of [cloud.metadata, cloud.entra, cloud.azure]) await clearFaults(standIn)
  })
  const onDoctor = (settings: Settings = {}, options?: DoctorOptions, dependencies?: Overrides) =>
    examine(cloud, { STORE, ...settings }, options, dependencies)
  return { cloud, folder, STORE, onDoctor }
}

/** Runs the doctor in this process, with the settings of a worker on a cloud and these. */
export async function examine(
  cloud: Cloud,
  settings: Settings = {},
  options: DoctorOptions = {},
  dependencies: Overrides = {},
): Promise<readonly Step[]> {
  const environment = { ...cloud.env, HOST: '127.0.0.1', PUSH_AUTH: 'off', ...settings }
  const newId = () => 'an-id'
  return runDoctor(options, { environment, now: Date.now, newId, onStep: () => undefined, ...dependencies })
}

/** The steps with their marks, a line each: `✓ Entra`. */
export function marksOf(steps: readonly Step[]): readonly string[] {
  return steps.map(({ step, ok }) => `${ok === null ? '–' : ok ? '✓' : '✗'} ${step}`)
}

/** The steps that failed. */
export function failuresIn(steps: readonly Step[]): readonly Step[] {
  return steps.filter(({ ok }) => ok === false)
}

interface Failure {
  readonly step?: string
  readonly seen?: string | RegExp
  readonly fix?: string | RegExp
}

/** Asserts which step is the first that fails, what it saw and how it is fixed: the whole text, or a pattern in it. */
export function assertFails(steps: readonly Step[], wanted: Failure): void {
  const [failed] = failuresIn(steps)
  const marks = marksOf(steps).join('\n')
  assert.ok(failed, marks)
  for (const part of ['step', 'seen', 'fix'] as const) {
    const expected = wanted[part] ?? /./
    if (typeof expected === 'string') assert.equal(failed[part], expected, marks)
    else assert.match(failed[part] ?? '', expected, marks)
  }
}

import { type DoctorDependencies, type DoctorOptions, runDoctor } from '../../cli/doctor/run-doctor.ts'
import type { Step } from '../../cli/doctor/step.ts'
import type { Cloud } from './stand-ins.ts'

type Overrides = Partial<Omit<DoctorDependencies, 'environment' | 'onStep'>>

/** Runs the doctor in this process, with the settings of a worker on a cloud and these. */
export async function examine(
  cloud: Cloud,
  settings: Readonly<Record<string, string>> = {},
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

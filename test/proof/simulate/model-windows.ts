import type { Deployment } from '../../../shared/config/deployments.ts'
import type { Random } from '../support/seeded-random.ts'
import { GOOD, OTHER, SPARE } from './settings.ts'

/**
 * What a deployment does for a while with every request.
 *
 * - unavailable: it answers 5xx or 409, with and without a time to wait
 * - throttled: 429
 * - missing: 404
 * - silent: it never answers
 * - denied: 403
 * - redirected: 307
 * - refuse token: 401
 */
const windowKinds = ['unavailable', 'throttled', 'missing', 'silent', 'denied', 'redirected'] as const
export type WindowKind = (typeof windowKinds)[number] | 'refuse token'

/** Epoch milliseconds. */
export interface ModelWindow {
  readonly kind: WindowKind
  readonly from: number
  readonly to: number
}

const MINUTE_MS = 60_000
const LIKELY: ReadonlyMap<WindowKind, number> = new Map([
  ['unavailable', 0.25],
  ['missing', 0.12],
])
/** A deployment that is missing ends its jobs after ten minutes: some windows are shorter, some longer. */
const LONGEST_MINUTES: Readonly<Record<(typeof windowKinds)[number], readonly number[]>> = {
  unavailable: [5, 30, 180],
  throttled: [3, 10],
  missing: [9, 40],
  silent: [5, 30],
  denied: [5, 60],
  redirected: [5, 30],
}

/** When each deployment answers no request, by its name at its endpoint. */
export type ModelWindows = ReadonlyMap<string, readonly ModelWindow[]>

/** Draws the windows in which deployments answer no request. `start`: epoch milliseconds. */
export function drawModelWindows(random: Random, start: number): ModelWindows {
  const names = [GOOD, OTHER, SPARE].map(nameOf)
  return new Map(names.map((name) => [name, [...windowKinds.flatMap(draw), ...drawRefusal(name)]]))

  function draw(kind: (typeof windowKinds)[number]): readonly ModelWindow[] {
    if (!random.chance(LIKELY.get(kind) ?? 0.08)) return []
    const from = start + random.whole(0, 8) * MINUTE_MS
    return [{ kind, from, to: from + random.whole(1, random.pick(LONGEST_MINUTES[kind])) * MINUTE_MS }]
  }

  /** The other resource refuses every token, for a while or for good. */
  function drawRefusal(name: string): readonly ModelWindow[] {
    if (name !== nameOf(OTHER) || !random.chance(0.3)) return []
    const to = random.chance(0.3) ? Number.POSITIVE_INFINITY : start + random.whole(1, 60) * MINUTE_MS
    return [{ kind: 'refuse token', from: start, to }]
  }
}

/** A deployment at its resource. */
export function nameOf({ deployment, endpoint }: Pick<Deployment, 'deployment' | 'endpoint'>): string {
  return `${deployment} at ${endpoint}`
}

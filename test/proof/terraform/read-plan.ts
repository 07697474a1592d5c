import { z } from 'zod'

export type Values = Readonly<Record<string, unknown>>

const values = z.record(z.string(), z.unknown())

const resource = z.object({
  /** Where it is, with modules and keys: module.google.google_pubsub_topic.this["jobs"] */
  address: z.string(),
  mode: z.enum(['managed', 'data']),
  type: z.string(),
  name: z.string(),
  values,
})

export type Resource = z.infer<typeof resource>

/** A resource to be made. */
export interface PlannedResource extends Resource {
  /** What is not known before apply: as `values` is, with true in the place of each such value. */
  readonly unknown: Values
}

export interface Plan {
  /** What is done to each managed resource, by its address: create, update, no-op; delete and create where it is replaced. */
  readonly actions: Readonly<Record<string, readonly string[]>>
  /** What would be made, and what was read. */
  readonly resources: readonly PlannedResource[]
  /** By the name of each check of the configuration: pass, fail, or unknown before apply. */
  readonly checks: Readonly<Record<string, string>>
  /** The outputs that are known before apply. */
  readonly outputs: Values
  /** By the address of a resource or a module's call, without keys: all that its arguments refer to, in its module. */
  readonly references: Readonly<Record<string, readonly string[]>>
}

export interface Applied {
  readonly resources: readonly Resource[]
  /** By the name of each check of the configuration: pass or fail. */
  readonly checks: Readonly<Record<string, string>>
  readonly outputs: Values
}

interface Module {
  readonly resources: readonly Resource[]
  readonly child_modules: readonly Module[]
}

const module: z.ZodType<Module> = z.lazy(() =>
  z.object({ resources: z.array(resource).default([]), child_modules: z.array(module).default([]) }),
)

function resourcesOf({ resources, child_modules }: Module): readonly Resource[] {
  return [...resources, ...child_modules.flatMap(resourcesOf)]
}

const state = z.object({
  outputs: z.record(z.string(), z.object({ value: z.unknown().optional() })).default({}),
  root_module: module.default({ resources: [], child_modules: [] }),
})

interface ConfiguredModule {
  readonly resources: readonly { readonly address: string; readonly [more: string]: unknown }[]
  readonly module_calls: Readonly<
    Record<string, { readonly module: ConfiguredModule; readonly [more: string]: unknown }>
  >
}

const configuredModule: z.ZodType<ConfiguredModule> = z.lazy(() =>
  z.object({
    resources: z.array(z.looseObject({ address: z.string() })).default([]),
    module_calls: z.record(z.string(), z.looseObject({ module: configuredModule })).default({}),
  }),
)

const checks = z
  .array(z.object({ address: z.object({ to_display: z.string() }), status: z.string() }))
  .default([])
  .transform((all) => Object.fromEntries(all.map(({ address, status }) => [address.to_display, status])))

const plan = z.object({
  planned_values: state,
  prior_state: z.object({ values: state }).optional(),
  resource_changes: z
    .array(
      z.object({
        address: z.string(),
        mode: z.enum(['managed', 'data']),
        change: z.object({ actions: z.array(z.string()), after_unknown: values }),
      }),
    )
    .default([]),
  checks,
  configuration: z.object({ root_module: configuredModule }),
})

/** Reads the output of `terraform show -json` for a plan. */
export function readPlan(json: string): Plan {
  const { planned_values, prior_state, resource_changes, checks: found, configuration } = plan.parse(JSON.parse(json))
  const unknown = new Map(resource_changes.map(({ address, change }) => [address, change.after_unknown]))
  const read = resourcesOf(prior_state?.values.root_module ?? { resources: [], child_modules: [] })
  const resources = [...read.filter(({ mode }) => mode === 'data'), ...resourcesOf(planned_values.root_module)]
  const managed = resource_changes.filter(({ mode }) => mode === 'managed')
  return {
    actions: Object.fromEntries(managed.map(({ address, change }) => [address, change.actions])),
    resources: resources.map((one) => ({ ...one, unknown: unknown.get(one.address) ?? {} })),
    checks: found,
    outputs: outputsOf(planned_values),
    references: Object.fromEntries(referencesOf(configuration.root_module, '')),
  }
}

/** Reads the output of `terraform show -json` for a state. */
export function readApplied(json: string): Applied {
  const { values, checks: found } = z.object({ values: state, checks }).parse(JSON.parse(json))
  return { resources: resourcesOf(values.root_module), checks: found, outputs: outputsOf(values) }
}

function outputsOf({ outputs }: z.infer<typeof state>): Values {
  return Object.fromEntries(
    Object.entries(outputs).flatMap(([name, { value }]) => (value === undefined ? [] : [[name, value]])),
  )
}

function referencesOf(
  { resources, module_calls }: ConfiguredModule,
  at: string,
): readonly [string, readonly string[]][] {
  return [
    ...resources.map(({ address, ...rest }) => [`${at}${address}`, referencesIn(rest)] as [string, readonly string[]]),
    ...Object.entries(module_calls).flatMap(([name, { module, ...rest }]) => {
      const address = `${at}module.${name}`
      return [[address, referencesIn(rest)] as [string, readonly string[]], ...referencesOf(module, `${address}.`)]
    }),
  ]
}

const references = z.object({ references: z.array(z.string()) })

/** Returns the references of every expression below, wherever it is nested. */
function referencesIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  const { data } = references.safeParse(value)
  return [...new Set([...(data?.references ?? []), ...Object.values(value).flatMap(referencesIn)])]
}

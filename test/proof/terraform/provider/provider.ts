import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { encodeProviderSchema } from './encode-schema.ts'
import { type Fill, fillIn, isValues, type Values } from './fill-in.ts'
import { type GrpcServer, serveGrpc } from './grpc-server.ts'
import { type Computed, makeUp } from './make-up.ts'
import { decode, encode, UNKNOWN } from './msgpack.ts'
import { bytesField, message, numberField, readFields } from './protobuf.ts'
import { refuseValues } from './refuse-values.ts'
import type { ProviderSchema, Schema } from './schema.ts'

const PATH = '/tfplugin5.Provider/'

const nothing = () => message()

/** What a cloud would compute is not known before apply. */
const notKnownYet: Fill = (found) => found ?? UNKNOWN
/** What is there already has all that it will ever have. */
const asFound: Fill = (found) => found

/** Arguments that a cloud changes by making another resource in the place of the one that is there. */
const FIXED: Readonly<Record<string, readonly string[]>> = {
  google_firestore_database: ['project', 'name', 'location_id', 'type'],
  google_firestore_field: ['project', 'database', 'collection', 'field'],
  google_firestore_index: ['project', 'database', 'collection', 'query_scope', 'fields'],
  google_project_iam_member: ['project', 'role', 'member', 'condition'],
  google_pubsub_subscription: ['project', 'name', 'topic', 'filter'],
}

/**
 * Serves a provider that knows the schema and no cloud, as Terraform's plugin protocol 5 has it: it plans the
 * given values, leaves what a cloud computes unknown, and fills that in when it applies or reads.
 */
export function serveProvider(schema: ProviderSchema, computed: Computed): Promise<GrpcServer> {
  const encoded = encodeProviderSchema(schema)
  const resource = (type: string) => found(schema.resource_schemas, type)
  const dataSource = (type: string) => found(schema.data_source_schemas, type)
  const methods: Readonly<Record<string, (request: Request) => Uint8Array>> = {
    GetSchema: () => encoded,
    PrepareProviderConfig: ({ bytes }) => message(bytesField(1, bytes(1))),
    ValidateResourceTypeConfig: ({ text, values }) => refusals(resource(text(1)), values(2)),
    ValidateDataSourceConfig: ({ text, values }) => refusals(dataSource(text(1)), values(2)),
    Configure: nothing,
    ReadResource: ({ bytes }) => message(bytesField(1, bytes(2))),
    UpgradeResourceState: ({ text, bytes }) => upgraded(resource(text(1)), bytes(3)),
    PlanResourceChange({ text, values }) {
      const [type, prior, proposed] = [text(1), values(2), values(3)]
      const planned = state(resource(type), proposed, prior === undefined ? notKnownYet : asFound)
      return message(planned, ...replacing(type, prior, proposed))
    },
    ApplyResourceChange({ text, values }) {
      const planned = values(3)
      return state(resource(text(1)), planned, makeUp(text(1), planned ?? {}, computed))
    },
    ReadDataSource({ text, values }) {
      const config = values(2)
      const fill = makeUp(`data ${text(1)}`, config ?? {}, computed)
      return state(dataSource(text(1)), config, fill)
    },
    Stop: nothing,
  }
  const entries = Object.entries(methods).map(
    ([name, method]) => [`${PATH}${name}`, (data: Buffer) => method(readRequest(data))] as const,
  )
  return serveGrpc(Object.fromEntries(entries))
}

/** The fields of a request, by their numbers. */
interface Request {
  bytes(number: number): Buffer
  text(number: number): string
  /** The values of a resource; undefined where there is none, as after it was destroyed. */
  values(number: number): Values | undefined
}

function readRequest(data: Buffer): Request {
  const fields = readFields(data)
  const bytes = (number: number) => fields.get(number) ?? Buffer.alloc(0)
  return {
    bytes,
    text: (number) => bytes(number).toString(),
    values(number) {
      const packed = readFields(bytes(number)).get(1)
      const value = packed === undefined ? null : decode(packed)
      return isValues(value) ? value : undefined
    },
  }
}

/** A reply whose first field is a resource's values. */
function state({ block }: Schema, values: Values | undefined, fill: Fill): Buffer {
  const whole = values === undefined ? null : fillIn(block, values, fill)
  return message(bytesField(1, message(bytesField(1, encode(whole)))))
}

/** A state file's values, in JSON, as the schema of today has them: each is of the version that is known here. */
function upgraded(schema: Schema, rawState: Buffer): Buffer {
  const json = readFields(rawState).get(1) ?? Buffer.from('{}')
  return state(schema, z.record(z.string(), z.json()).parse(JSON.parse(json.toString())), asFound)
}

/** The arguments for which another resource is made, as the paths that Terraform reads. */
function replacing(type: string, prior: Values | undefined, proposed: Values | undefined): readonly Buffer[] {
  if (prior === undefined || proposed === undefined) return []
  const changed = (FIXED[type] ?? []).filter((name) => !isDeepStrictEqual(prior[name], proposed[name]))
  return changed.map((name) => bytesField(2, message(bytesField(1, message(bytesField(1, name))))))
}

/** The number of Diagnostic.Severity. */
const ERROR = 1

/** A reply of nothing but diagnostics. */
function refusals({ block }: Schema, values: Values = {}): Buffer {
  const diagnostics = refuseValues(block, values).map(({ summary, detail }) =>
    bytesField(1, message(numberField(1, ERROR), bytesField(2, summary), bytesField(3, detail))),
  )
  return message(...diagnostics)
}

function found(schemas: Readonly<Record<string, Schema>>, type: string): Schema {
  const schema = schemas[type]
  if (schema === undefined) throw new Error(`no schema of ${type}`)
  return schema
}

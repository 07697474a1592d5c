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

/**
 * Serves a provider that knows the schema and no cloud, as Terraform's plugin protocol 5 has it: it plans what it is
 * told to, leaves open what a cloud computes, and makes that up when it is told to apply or to read.
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
    PlanResourceChange: ({ text, values }) => state(resource(text(1)), values(3), notKnownYet),
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

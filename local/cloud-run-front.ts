import { type IncomingMessage, request as openRequest } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { createLocalJWKSet, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { z } from 'zod'
import { realDependencies } from './dependencies.ts'
import { GOOGLE } from './identities.ts'
import type { SigningKey } from './signing-key.ts'
import { type StandIn, type StandInOptions, serveStandIn } from './stand-in.ts'

export interface CloudRunFrontOptions extends StandInOptions {
  /** Where the container listens: scheme, host and port. */
  readonly container: string
  /** Google's key, which signs the ID tokens of callers. */
  readonly key: SigningKey
  /** The service's address and its custom audiences. */
  readonly audiences: readonly string[]
  /** E-mails that have the invoker role; `allUsers` for everyone. */
  readonly invokers: readonly string[]
}

/**
 * The front end of Cloud Run: it checks the caller, and forwards allowed requests to the container.
 *
 * It reads the caller's token from `X-Serverless-Authorization` if that header is present, otherwise from `Authorization`. It
 * replaces the signature in the header that it checked, and does not change the other one. If a header is repeated, it
 * checks the first; this behaviour is not documented.
 */
export async function startCloudRunFront(options: CloudRunFrontOptions): Promise<StandIn> {
  const dependencies = { ...realDependencies, ...options.dependencies }
  const keys = createLocalJWKSet(options.key.jwks)
  return serveStandIn(
    {
      service: 'cloud_run_front',
      operationOf: (path) => path,
      errors: {},
      route: (app) => {
        app.all('*', async (c) => {
          const lines = linesOf(c.env.incoming)
          const at = findCredential(lines)
          const refusal = await refuse(lines[at]?.value, keys, dependencies.now(), options)
          if (refusal !== undefined) return new Response(null, { status: refusal })
          const forwarded = lines.map((line, n) => (n === at ? { ...line, value: strip(line.value) } : line))
          return forward(options.container, c.env.incoming, forwarded, Buffer.from(await c.req.arrayBuffer()))
        })
      },
    },
    dependencies,
    options,
  )
}

interface HeaderLine {
  readonly name: string
  readonly value: string
}

function linesOf({ rawHeaders }: IncomingMessage): readonly HeaderLine[] {
  return rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [{ name, value: rawHeaders[at + 1] ?? '' }] : []))
}

/** The position of the header line with the caller's token; -1: there is none. */
function findCredential(lines: readonly HeaderLine[]): number {
  const find = (wanted: string) => lines.findIndex(({ name }) => name.toLowerCase() === wanted)
  const first = find('x-serverless-authorization')
  return first === -1 ? find('authorization') : first
}

const invokerClaims = z.object({ email: z.string() })

/** The status of a rejection; undefined: the caller is allowed. */
async function refuse(
  credential: string | undefined,
  keys: JWTVerifyGetKey,
  nowMs: number,
  { audiences, invokers }: CloudRunFrontOptions,
): Promise<401 | 403 | undefined> {
  if (invokers.includes('allUsers')) return undefined
  const [, token] = /^Bearer (.+)$/i.exec(credential ?? '') ?? []
  if (token === undefined) return 403
  const expected = { issuer: GOOGLE.issuer, audience: [...audiences], currentDate: new Date(nowMs) }
  const verified = await jwtVerify(token, keys, expected).catch(() => undefined)
  if (verified === undefined) return 401
  const { data } = invokerClaims.safeParse(verified.payload)
  return data !== undefined && invokers.includes(data.email) ? undefined : 403
}

/** https://cloud.google.com/run/docs/troubleshooting#signature-removed */
function strip(value: string): string {
  return value.replace(/[^.]*$/, 'SIGNATURE_REMOVED_BY_GOOGLE')
}

/** Headers of the connection, which are not forwarded. */
const OF_THE_CONNECTION = ['connection', 'content-length', 'expect', 'transfer-encoding']

/** Forwards all other header lines unchanged, also repeated ones, which fetch would join. */
async function forward(
  container: string,
  { method, url = '/' }: IncomingMessage,
  lines: readonly HeaderLine[],
  body: Buffer,
): Promise<Response> {
  const kept = lines.filter(({ name }) => !OF_THE_CONNECTION.includes(name.toLowerCase()))
  const headers = [...kept, { name: 'content-length', value: String(body.byteLength) }]
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const options = { method, headers: headers.flatMap(({ name, value }) => [name, value]), agent: false as const }
  openRequest(container + url, options)
    .on('response', resolve)
    .on('error', reject)
    .end(body)
  const answer = await promise
  const text = await buffer(answer)
  return new Response(text.byteLength === 0 ? null : text, { status: answer.statusCode ?? 502 })
}

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { protobuf } from 'google-gax'
import { z } from 'zod'

/** What a call, or many, asked of Firestore: documents, not calls. */
export interface Operations {
  readonly reads: number
  readonly writes: number
  /** Writes that Firestore accepted. */
  readonly appliedWrites: number
  readonly calls: number
}

/** Google's own description of the protocol, as its client ships it beside its code. */
const CLIENT = dirname(createRequire(import.meta.url).resolve('@google-cloud/firestore'))
const root = protobuf.Root.fromJSON(JSON.parse(readFileSync(join(CLIENT, '../protos/v1.json'), 'utf8')))

export function messageType(name: string): protobuf.Type {
  return root.lookupType(`google.firestore.v1.${name}`)
}

const SERVICE = '/google.firestore.v1.Firestore/'
const PREFIX_BYTES = 5

const batchWrite = z.object({ writes: z.array(z.unknown()) })
const batchWriteAnswer = z.object({ status: z.array(z.object({ code: z.number() })) })
const commit = z.object({ writes: z.array(z.unknown()) })
const commitAnswer = z.object({ writeResults: z.array(z.unknown()) })
const batchGet = z.object({ documents: z.array(z.string()) })

/**
 * Reads a gRPC call of Firestore's: `path` names the method, the bytes are all that was sent and all that came back.
 *
 * Throws for a method that none of the contestants calls: it would go uncounted.
 */
export function readOperations(path: string, sent: Buffer, came: Buffer): Operations {
  const method = path.replace(SERVICE, '')
  switch (method) {
    case 'BatchWrite': {
      const [writes] = messages('BatchWriteRequest', sent).map((message) => batchWrite.parse(message).writes.length)
      const answers = messages('BatchWriteResponse', came).flatMap((message) => batchWriteAnswer.parse(message).status)
      return { reads: 0, writes: writes ?? 0, appliedWrites: answers.filter(({ code }) => code === 0).length, calls: 1 }
    }
    case 'Commit': {
      const [writes] = messages('CommitRequest', sent).map((message) => commit.parse(message).writes.length)
      const [applied] = messages('CommitResponse', came).map(
        (message) => commitAnswer.parse(message).writeResults.length,
      )
      return { reads: 0, writes: writes ?? 0, appliedWrites: applied ?? 0, calls: 1 }
    }
    case 'BatchGetDocuments': {
      const [reads] = messages('BatchGetDocumentsRequest', sent).map(
        (message) => batchGet.parse(message).documents.length,
      )
      return { reads: reads ?? 0, writes: 0, appliedWrites: 0, calls: 1 }
    }
    case 'BeginTransaction':
    case 'Rollback':
      return { reads: 0, writes: 0, appliedWrites: 0, calls: 1 }
    default:
      throw new Error(`cannot count the operations of ${path}`)
  }
}

/** The messages of one direction of a call. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
function messages(type: string, bytes: Buffer): readonly unknown[] {
  const decoder = messageType(type)
  const found: unknown[] = []
  for (let at = 0; at < bytes.length; ) {
    if (bytes.readUInt8(at) !== 0) throw new Error('a compressed message cannot be counted')
    const start = at + PREFIX_BYTES
    at = start + bytes.readUInt32BE(at + 1)
    found.push(decoder.toObject(decoder.decode(bytes.subarray(start, at)), { arrays: true, defaults: true }))
  }
  return found
}

import { StoreError } from '../../shared/stores/job-store.ts'
import type { RecordDocuments, Write } from '../../shared/stores/record-documents.ts'

/** Of every write that is applied the reply is lost. */
export function losingReplies(documents: RecordDocuments): RecordDocuments {
  const lose = async (write: Promise<Write>): Promise<Write> => {
    const reply = await write
    if (reply.kind === 'refused') return reply
    throw new StoreError('unavailable', 'the reply was lost')
  }
  return {
    ...documents,
    create: (record) => lose(documents.create(record)),
    replace: (record, revision) => lose(documents.replace(record, revision)),
  }
}

/** Every write is sent twice, as by a client that lost its first reply; only the second answer is heard. */
export function sendingTwice(documents: RecordDocuments): RecordDocuments {
  return {
    ...documents,
    async create(record) {
      await documents.create(record)
      return documents.create(record)
    },
    async replace(record, revision) {
      await documents.replace(record, revision)
      return documents.replace(record, revision)
    },
  }
}

/** One part of every result never arrives. */
export function withoutPart(documents: RecordDocuments, missing: number): RecordDocuments {
  return {
    ...documents,
    async writePart(key, owner, index, text, expireAt) {
      if (index !== missing) await documents.writePart(key, owner, index, text, expireAt)
    },
  }
}

export function isStoreError(code: StoreError['code']): (error: unknown) => boolean {
  return (error) => error instanceof StoreError && error.code === code
}

export function partsOf(documents: RecordDocuments, key: string, owner: string): Promise<string[]> {
  return Array.fromAsync(documents.readParts(key, owner))
}

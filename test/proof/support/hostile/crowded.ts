import { hostileJson } from './kinds.ts'

/** As long as job data may be, but for a few spaces. */
const LENGTH = 4 * 1_024 * 1_024 - 100

const fill = (open: string, item: string, close: string, length = LENGTH) =>
  open + item.repeat(Math.floor((length - open.length - close.length) / item.length)) + close

const names = Array.from({ length: 450_000 }, (_, n) => `"${n.toString(36)}":0`).join()
const embedding = (input: string) => `{"url":"/v1/embeddings","body":{"input":${input}}}`

/** Data of messages that are made of very much for their length. None is a job. */
export const crowdedData: Readonly<Record<string, string>> = {
  '450,000 entries of metadata': `{"prompt":"x","metadata":{${names}}}`,
  '450,000 fields of a body': `{"url":"/v1/responses","body":{${names}}}`,
  '450,000 fields of a job': `{"prompt":"x",${names}}`,
  'four megabytes of empty lists': embedding(fill('[', '[],', '0]', LENGTH - 100)),
  'four megabytes of empty objects in objects': fill('', '{"":[{}', ''),
  'two million numbers': embedding(fill('[', '1,', '0]', LENGTH - 100)),
  'numbers of odd digits': embedding(fill('[', '1.0,', '0]', LENGTH - 100)),
  'a number of four million digits': embedding(fill('[', '1', ']', LENGTH - 100)),
  'two million levels': fill('', '[', ''),
  'a string of two million escapes that does not end': fill('{"prompt":"', '\\"', ''),
  'backslashes alone': fill('"', '\\', ''),
}

/** Bodies of pushes that are made of very much. */
export const crowdedPushes: Readonly<Record<string, string>> = {
  '450,000 attributes': hostileJson({ message: { data: 'e30=', attributes: { a: '@' } } }).replace('"a":"@"', names),
  '14 megabytes of empty lists': fill('{"message":{"data":"e30="},"x":[', '[],', '0]}', 14_000_000),
  '14 megabytes of fields': `{"message":{"data":"e30="},${fill('', '"a":{},', '"b":0}', 14_000_000)}`,
}

/** A job as long as may be, of nearly as many values as may be. */
export function largestJob(id: string): string {
  const values = 99_900
  const item = 'x'.repeat(Math.floor((LENGTH - 200) / values) - 3)
  return `{"id":"${id}","url":"/v1/chat/completions","body":{"messages":[${JSON.stringify({ role: 'user', content: 'x' })}],"stop":["${Array.from({ length: values - 20 }, () => item).join('","')}"]}}`
}

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { createLog, type Log, traceFields } from '../../worker/observe/log.ts'

const line = z.record(z.string(), z.unknown())

/** The fields of the lines that were logged. */
function logged(level: string, write: (log: Log) => void) {
  const lines: string[] = []
  write(createLog(level, { write: (text) => lines.push(text) }))
  return lines.map((text) => line.parse(JSON.parse(text)))
}

describe('a line', () => {
  test('has the severity that Cloud Logging knows its level by', () => {
    const lines = logged('trace', (log) => {
      for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) log[level]('said')
    })
    const severities = lines.map(({ severity }) => severity)
    assert.deepEqual(severities, ['DEBUG', 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'])
  })

  test('has a message, a time and its fields, and nothing of this machine', () => {
    const [said] = logged('info', (log) => log.info({ jobId: 'doc-7' }, 'job succeeded'))
    const { time, ...rest } = said ?? {}
    assert.deepEqual(rest, { severity: 'INFO', jobId: 'doc-7', message: 'job succeeded' })
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  })

  test('below the level is not written', () => {
    const written = logged('warn', (log) => log.info('quiet'))
    assert.deepEqual(written, [])
  })
})

describe('an error in the log', () => {
  const describeLogged = (error: unknown) => logged('info', (log) => log.error({ error }, 'failed'))[0]?.['error']

  test('keeps its name, code, message and stack, and drops its cause and what a library hung on it', () => {
    const hung = { code: 'ECONNRESET', response: { authorization: 'Bearer canary' } }
    const error = Object.assign(new TypeError('it broke', { cause: new Error('canary') }), hung)
    assert.deepEqual(describeLogged(error), {
      name: 'TypeError',
      code: 'ECONNRESET',
      message: 'it broke',
      stack: error.stack,
    })
  })

  test('has no code unless it is a text', () => {
    const described = line.parse(describeLogged(new DOMException('late', 'TimeoutError')))
    assert.deepEqual([described['name'], 'code' in described], ['TimeoutError', false])
  })

  test('that is no Error has only its type', () => {
    assert.deepEqual(describeLogged('canary'), { name: 'string' })
  })
})

describe('the fields of a trace', () => {
  const trace = '0af7651916cd43dd8448eb211c80319c'
  const span = 'b7ad6b7169203331'

  test('name the trace in its project, the span, and whether it is sampled', () => {
    assert.deepEqual(traceFields(`00-${trace}-${span}-01`, 'contoso'), {
      'logging.googleapis.com/trace': `projects/contoso/traces/${trace}`,
      'logging.googleapis.com/spanId': span,
      'logging.googleapis.com/trace_sampled': true,
    })
  })

  test('name the bare trace where no project is known', () => {
    const fields = traceFields(`00-${trace}-${span}-00`, undefined)
    assert.equal(fields['logging.googleapis.com/trace'], trace)
    assert.equal(fields['logging.googleapis.com/trace_sampled'], false)
  })

  test('are read from a later version too, which may say more', () => {
    assert.equal(traceFields(`01-${trace}-${span}-03-more`, undefined)['logging.googleapis.com/trace_sampled'], true)
  })

  // https://www.w3.org/TR/trace-context/#traceparent-header
  const invalid = [
    undefined,
    '',
    'garbage',
    `ff-${trace}-${span}-01`,
    `00-${'0'.repeat(32)}-${span}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace}-${span}-0g`,
    `00-${trace}-${span}-010`,
    `00-${trace.toUpperCase()}-${span}-01`,
  ]
  for (const traceparent of invalid) {
    test(`are none for ${traceparent ?? 'no traceparent'}`, () => {
      assert.deepEqual(traceFields(traceparent, 'contoso'), {})
    })
  }
})

import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino'
import { printable } from '../../shared/lib/printable.ts'

export type Log = Logger

/** Cloud Logging's names for pino's levels. */
const SEVERITIES: Readonly<Record<string, string>> = {
  trace: 'DEBUG',
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
  fatal: 'CRITICAL',
}

/**
 * Logs JSON lines in the form that Cloud Logging reads: `severity`, `message`, `time`. To standard output, when nothing
 * else is given.
 *
 * What goes in must hold no prompt, answer or token; an error is logged by its name, code and message, without the
 * objects that libraries hang on it.
 */
export function createLog(level: string, destination: DestinationStream = pino.destination(1)): Log {
  const options: LoggerOptions = {
    level,
    base: null,
    messageKey: 'message',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ severity: SEVERITIES[label] ?? 'DEFAULT' }) },
    serializers: { error: describeError },
    hooks: { streamWrite: printable },
  }
  return pino(options, destination)
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { name: typeof error }
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {}
  return { name: error.name, ...code, message: error.message, stack: error.stack }
}

/** https://www.w3.org/TR/trace-context/#traceparent-header: version ff and ids of zeros are invalid. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-|$)/

/**
 * The fields by which Cloud Logging joins a line to its trace, from a W3C traceparent.
 *
 * Empty where there is no valid one.
 */
export function traceFields(traceparent: string | undefined, project: string | undefined): Record<string, unknown> {
  const [, trace, span, flags] = TRACEPARENT.exec(traceparent ?? '') ?? []
  if (trace === undefined || span === undefined || flags === undefined) return {}
  const name = project === undefined ? trace : `projects/${project}/traces/${trace}`
  return {
    'logging.googleapis.com/trace': name,
    'logging.googleapis.com/spanId': span,
    'logging.googleapis.com/trace_sampled': (Number.parseInt(flags, 16) & 1) === 1,
  }
}

import { z } from 'zod'
import { builtInTemplates, findBuiltInTemplate } from '../job/built-in-templates.ts'
import { parseTemplate, renderTemplate, type Template } from '../job/template.ts'
import { QueueError } from '../queues/job-queue.ts'
import type { JobInput, PromptJob, RequestJob, TemplateJob } from './types.ts'

const values = z.record(z.string(), z.string({ error: 'is not a text' }))

/** Fills in the template of a job that has one. Throws QueueError `refused`, which says what is wrong. */
export function renderJob(job: JobInput): PromptJob | RequestJob {
  return typeof job === 'object' && job !== null && 'template' in job ? fillIn(job) : job
}

function fillIn({ template, variables = {}, model, ...rest }: TemplateJob): RequestJob {
  const given = values.safeParse(variables)
  if (!given.success) throw refused(`variables: ${given.error.issues[0]?.path.join('.')} is not a text`)
  const rendered = renderTemplate(findTemplate(template), { model, values: new Map(Object.entries(given.data)) })
  if (!rendered.ok) throw refused(rendered.problem)
  return { ...rest, url: '/v1/chat/completions', body: rendered.body }
}

function findTemplate(template: TemplateJob['template']): Template {
  if (typeof template === 'string') {
    const found = findBuiltInTemplate(template)
    if (found === undefined) throw refused(`no template has this name; there are ${builtInTemplates.join(' and ')}`)
    return found
  }
  const parsed = parseTemplate(String(template.text), template.name ?? 'template')
  if (!parsed.ok) throw refused(`the template cannot be used: ${parsed.problem}`)
  return parsed.template
}

function refused(problem: string): QueueError {
  return new QueueError('refused', `This is not a job: ${problem}`)
}

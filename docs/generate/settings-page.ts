import type { z } from 'zod'
import {
  type DescribedSetting,
  describeDefault,
  describeSettings,
  settingSubjects,
} from '../../shared/config/describe-settings.ts'
import { deploymentFields } from '../../shared/config/setting-values.ts'
import { table } from './table.ts'

/** A table of settings for each subject, and one of the fields of a deployment. */
export function settingsParts(): ReadonlyMap<string, string> {
  const described = describeSettings()
  const parts = settingSubjects.map((subject) => {
    const rows = described.filter((setting) => setting.subject === subject)
    return [subject, table(['setting', 'default', 'values', 'meaning'], rows.map(settingRow))] as const
  })
  return new Map([...parts, ['fields', fieldTable()]])
}

function settingRow({ name, start, values, description }: DescribedSetting): readonly string[] {
  return [`\`${name}\``, start, values, description]
}

function fieldTable(): string {
  const fields: readonly (readonly [string, z.ZodType])[] = Object.entries(deploymentFields)
  const rows = fields.map(([name, schema]) => [`\`${name}\``, describeDefault(schema), schema.description ?? ''])
  return table(['field', 'default', 'meaning'], rows)
}

// Writes the generated parts of docs/settings.md and docs/cli.md: npm run docs
import { writeFileSync } from 'node:fs'
import { generatedDocs } from './generated-docs.ts'

for (const { path, text } of generatedDocs()) writeFileSync(path, text)

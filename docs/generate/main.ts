// Writes the generated parts of the pages: npm run docs
import { writeFileSync } from 'node:fs'
import { generatedPages } from './pages.ts'

for (const { path, text } of await generatedPages()) writeFileSync(path, text)

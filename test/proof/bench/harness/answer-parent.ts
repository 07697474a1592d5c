import type { z } from 'zod'

/** Answers every question of the process that started this one. A failure ends this process, and so the bench. */
export function answerParent<T>(question: z.ZodType<T>, answer: (question: T) => Promise<object>): void {
  process.on('message', async (message) => {
    process.send?.(await answer(question.parse(message)))
  })
}

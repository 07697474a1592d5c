import express from 'express'
import { printAddress, readJob } from './push.ts'

/** Serves pushes with Express: 204 when the job is done, and Express's own 500 when it fails. */
export function listenExpress(run: (job: ReturnType<typeof readJob>) => Promise<void>): void {
  const app = express()
  app.use(express.json({ limit: '15mb' }))
  app.post('/push', async (request, response) => {
    await run(readJob(request.body))
    response.status(204).end()
  })
  const server = app.listen(0, '127.0.0.1', () => printAddress(server.address()))
  server.keepAliveTimeout = 600_000
}

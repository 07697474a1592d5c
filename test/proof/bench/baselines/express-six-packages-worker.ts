import { ClientAssertionCredential } from '@azure/identity'
import { Firestore } from '@google-cloud/firestore'
import { PubSub } from '@google-cloud/pubsub'
import express from 'express'
import { Compute } from 'google-auth-library'
import OpenAI from 'openai'
import pRetry from 'p-retry'

/** Starts as a worker of these packages does: it makes their clients, and listens. No client connects before its first job. */
const google = new Compute()
const credential = new ClientAssertionCredential('nowhere', 'nothing', () => google.fetchIdToken('nowhere'))
const [firestore, pubsub] = [new Firestore({ projectId: 'nowhere' }), new PubSub({ projectId: 'nowhere' })]
const openai = new OpenAI({ baseURL: 'http://127.0.0.1:9', apiKey: 'none' })

const app = express()
app.post('/push', async (_, response) => {
  const { token } = await credential.getToken('nothing')
  const ask = () => openai.chat.completions.create({ model: token, messages: [] })
  await firestore.doc('jobs/one').create(await pRetry(ask))
  await pubsub.topic('events').publishMessage({ data: Buffer.alloc(0) })
  response.status(204).end()
})
const server = app.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ message: 'listening', address: server.address() })}\n`)
})

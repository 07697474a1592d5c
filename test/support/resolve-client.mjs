// Lets an example run as it is without the built package: it imports the source of the client.
import { registerHooks } from 'node:module'

const CLIENT = new URL('../../shared/client/index.ts', import.meta.url).href

registerHooks({
  resolve: (name, context, next) =>
    name === 'promptbridge' ? { url: CLIENT, shortCircuit: true } : next(name, context),
})

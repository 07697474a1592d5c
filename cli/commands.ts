import type { Command } from 'commander'
import type { Environment } from '../shared/config/rules.ts'

export interface ListedCommand {
  readonly name: string
  /** One line of the help. */
  readonly does: string
  /** Loads the command. Only the one that runs is loaded, so that each starts fast. */
  load(environment: Environment): Promise<Command>
  /** Whether it needs all others loaded. */
  readonly needsOthers?: true
}

/** All commands, in the order of the help. */
export const commands: readonly ListedCommand[] = [
  {
    name: 'submit',
    does: 'publish the lines of an OpenAI Batch input file as jobs',
    load: async (environment) => (await import('./submit/submit-command.ts')).submitCommand(environment),
  },
  {
    name: 'run',
    does: 'run jobs on this machine: submit them, work until all are settled, and write the results',
    load: async (environment) => (await import('./run/run-command.ts')).runCommand(environment),
  },
  {
    name: 'results',
    does: 'print the settled jobs of a batch as an OpenAI Batch output file',
    load: async (environment) => (await import('./results/results-command.ts')).resultsCommand(environment),
  },
  {
    name: 'batches',
    does: 'list the latest batches, each with how far it has come',
    load: async (environment) => (await import('./batches/batches-command.ts')).batchesCommand(environment),
  },
  {
    name: 'batch',
    does: 'show how far a batch has come: what is left, what failed and why, tokens, rate',
    load: async (environment) => (await import('./batches/batch-command.ts')).batchCommand(environment),
  },
  {
    name: 'wait',
    does: 'wait until all jobs of a batch are settled',
    load: async (environment) => (await import('./batches/wait-command.ts')).waitCommand(environment),
  },
  {
    name: 'show',
    does: 'show one job: its record, its attempts, and its answer or its error',
    load: async (environment) => (await import('./show.ts')).showCommand(environment),
  },
  {
    name: 'cancel',
    does: 'cancel a job that is not running; or, without an id, a whole batch with its running jobs',
    load: async (environment) => (await import('./cancel.ts')).cancelCommand(environment),
  },
  {
    name: 'pause',
    does: 'stop the delivery of jobs; they wait, and no attempt is counted',
    load: async (environment) => (await import('./pause.ts')).pauseCommand(environment),
  },
  {
    name: 'resume',
    does: 'deliver jobs again after a pause',
    load: async (environment) => (await import('./pause.ts')).resumeCommand(environment),
  },
  {
    name: 'dead-letters',
    does: 'list, show, edit, replay and discard the messages that failed for good',
    load: async (environment) =>
      (await import('./dead-letters/dead-letters-command.ts')).deadLettersCommand(environment),
  },
  {
    name: 'token',
    does: 'inspect the federated token and list its failures',
    load: async (environment) => (await import('./token/token-command.ts')).tokenCommand(environment),
  },
  {
    name: 'doctor',
    does: 'check the settings, the tokens, Azure OpenAI, the store and Pub/Sub, and print how to fix what fails',
    load: async (environment) => (await import('./doctor/doctor-command.ts')).doctorCommand(environment),
  },
  {
    name: 'prices',
    does: 'check and print the prices of models that estimates use',
    load: async (environment) => (await import('./prices.ts')).pricesCommand(environment),
  },
  {
    name: 'init',
    does: 'write promptbridge.env, a file with every setting and its description',
    load: async () => (await import('./init.ts')).initCommand(),
  },
  {
    name: 'dev',
    does: 'deliver jobs on this machine until Ctrl-C, and push their events to your own server',
    load: async (environment) => (await import('./dev/dev-command.ts')).devCommand(environment),
  },
  {
    name: 'demo',
    does: 'summarise the READMEs of the installed packages, on stand-ins for Google Cloud and Azure',
    load: async () => (await import('./demo/demo-command.ts')).demoCommand(),
  },
  {
    name: 'completion',
    does: 'print a script with which the shell completes commands and options',
    load: async () => (await import('./completion.ts')).completionCommand(),
    needsOthers: true,
  },
]

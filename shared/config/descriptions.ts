import type { settings } from './schema.ts'

export interface SettingDescription {
  /** One short sentence. */
  readonly meaning: string
  /** What applies without a value, where the schema does not say it. */
  readonly absent?: string
  /** Which values there are, where the schema does not list them. */
  readonly values?: string
}

/** What each setting means. docs/settings.md is generated from it, and has the details. */
export const settingDescriptions: Readonly<Record<keyof typeof settings.shape, SettingDescription>> = {
  HOST: { meaning: 'Address to listen on.' },
  PORT: { meaning: 'Port to listen on.' },
  GOOGLE_CLOUD_PROJECT: {
    meaning: 'Project of Firestore, Pub/Sub and the traces in the log.',
    absent: 'required, unless `STORE=sqlite:PATH`',
  },
  AZURE_TENANT_ID: { meaning: 'Entra tenant of the app registration.' },
  AZURE_CLIENT_ID: {
    meaning: "The app registration's application (client) id.",
    absent: 'required, unless `TOKEN_SOURCE=azure-cli`',
    values: 'a UUID',
  },
  TOKEN_SOURCE: {
    meaning: 'Where the identity of the worker comes from.',
    values: '`metadata-server`, `impersonate:EMAIL`, `azure-cli`',
  },
  AZURE_CLOUD: { meaning: 'The Azure cloud, which decides the next three and the hosts that tokens may be sent to.' },
  AZURE_AUTHORITY_HOST: { meaning: "Entra's address, a host of the cloud.", absent: "the cloud's", values: 'a URL' },
  AZURE_FEDERATED_AUDIENCE: { meaning: 'Audience of the federated credential.', absent: "the cloud's" },
  AZURE_OPENAI_SCOPE: { meaning: 'Scope of the token.', absent: "the cloud's" },
  AZURE_OPENAI_ENDPOINT: {
    meaning: 'Endpoint of the Azure OpenAI resource.',
    absent: 'required, or `DEPLOYMENTS`',
    values: '`https://NAME.openai.azure.com`',
  },
  AZURE_OPENAI_DEPLOYMENT: {
    meaning: 'The one deployment: it serves its own name, and jobs without a model.',
    absent: 'required, or `DEPLOYMENTS`',
  },
  OPENAI_API_VERSION: {
    meaning: "A dated version of Azure OpenAI's API, for all deployments.",
    absent: 'the v1 API',
    values: 'such as `2024-10-21`',
  },
  DEPLOYMENTS: { meaning: 'Several deployments.', values: 'a JSON array' },
  ALLOW_CUSTOM_HOSTS: { meaning: 'Whether tokens may be sent to any https host that the settings name.' },
  PUSH_AUTH: { meaning: 'How the sender of a push is checked.' },
  PUSH_AUDIENCE: { meaning: 'Audience of the push subscriptions.', absent: 'required, unless `PUSH_AUTH=off`' },
  PUSH_SERVICE_ACCOUNT: {
    meaning: 'E-mail of the service account that the subscriptions push as.',
    absent: 'required, unless `PUSH_AUTH=off`',
  },
  PUSH_CERTS_URL: { meaning: 'Where the keys are that verify a push.', values: 'a URL' },
  JOBS_TOPIC: { meaning: 'Topic of the jobs, for `promptbridge submit` and for rescued jobs.' },
  DEAD_LETTER_TOPIC: { meaning: 'Topic of the messages that failed.' },
  EVENTS_TOPIC: { meaning: 'Topic of the events.', absent: 'no events' },
  STORE: { meaning: 'Where records and messages are.', values: '`firestore`, `sqlite:PATH`' },
  FIRESTORE_DATABASE: { meaning: 'Id of the Firestore database, for the worker and the commands.' },
  ACK_DEADLINE_SECONDS: { meaning: "The subscription's acknowledgement deadline; a job may use 95 % of it." },
  MODEL_TIMEOUT_SECONDS: { meaning: 'The most that one request to the model may take.' },
  MAX_ATTEMPTS: { meaning: 'Attempts of unknown outcome before a job is dead-lettered.' },
  ON_UNKNOWN: { meaning: 'What follows an attempt of unknown outcome.' },
  MAX_IN_FLIGHT: { meaning: 'Jobs under way at once; further pushes are deferred.' },
  MAX_IN_FLIGHT_BYTES: { meaning: 'Bytes of pushes and awaited answers at once; further jobs are deferred.' },
  MAX_OUTPUT_TOKENS: { meaning: 'The most output tokens that a job may ask for.', absent: '`32768`' },
  ALLOW_BODY_FIELDS: { meaning: 'What bodies may ask for beyond an answer.', values: 'names, separated by commas' },
  DAILY_TOKEN_LIMIT: { meaning: 'The most tokens that the jobs of a day may use, from 00:00 UTC.', absent: 'no limit' },
  MAX_JOB_AGE_DAYS: { meaning: 'How old a job may become, in days.' },
  RECORD_TTL_DAYS: { meaning: 'How long a settled record or a dead letter is kept, in days.' },
  LOG_LEVEL: { meaning: 'The least severity that is logged.' },
}

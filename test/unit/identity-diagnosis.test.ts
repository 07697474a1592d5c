import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ENTRA_ERRORS } from '../../local/fixtures/entra-errors.ts'
import { AADSTS } from '../../shared/identity/entra-table.ts'
import type { FailureNature, TokenErrorDetails } from '../../shared/identity/token-error.ts'
import { tokenLegs } from '../../shared/job/token-leg.ts'
import { diagnose } from '../../shared/models/azure-openai/explain-refused-token.ts'

const us = {
  tenantId: '11111111-aaaa-4aaa-8aaa-000000000001',
  clientId: '22222222-bbbb-4bbb-8bbb-000000000002',
  authorityHost: 'https://login.microsoftonline.com',
  scope: 'https://wrong.example/.default',
  audience: 'api://FromSettings',
}
const presented = { issuer: 'https://issuer.example', subject: '104500000000000000001', audience: 'api://Presented' }

const atEntra = (details: TokenErrorDetails) => diagnose({ leg: 'entra_exchange', details }, us)
const refused = (aadsts: number, more: TokenErrorDetails = {}) =>
  atEntra({ httpStatus: 401, code: 'invalid_client', aadsts: [aadsts], presented, ...more })

const SUBJECT = /\bSubject.* 104500000000000000001 \(the unique id of the service account, not its e-mail\)/
const ALL_THREE = /Issuer https:\/\/issuer\.example, .*Subject.* 104500000000000000001 .*Audience api:\/\/Presented/
const CREDENTIAL = new RegExp(`federated credential.*${us.clientId}|${us.clientId}.*federated credential`)

const KEYS = /^Entra could not read the keys with which https:\/\/issuer\.example signs ID tokens/

/** Every number of the table: its nature, and the values without which its hint would be of no use. */
const table: Readonly<Record<number, readonly [FailureNature, ...RegExp[]]>> = {
  50000: ['passing', /ends by itself/, /AADSTS50000/],
  50033: ['passing', /ends by itself/, /AADSTS50033/],
  50166: ['passing', KEYS, /ends by itself/],
  50196: ['passing', /too many/, /ends by itself/, /AADSTS50196/],
  501661: ['passing', KEYS, /ends by itself/],
  90061: ['passing', KEYS, /ends by itself/],
  90006: ['passing', /ends by itself/, /AADSTS90006/],
  90012: ['passing', /ends by itself/, /AADSTS90012/],
  90024: ['passing', /ends by itself/, /AADSTS90024/],
  90033: ['passing', /ends by itself/, /AADSTS90033/],
  90055: ['passing', /ends by itself/, /AADSTS90055/],
  90090: ['passing', /ends by itself/, /AADSTS90090/],
  90091: ['passing', /ends by itself/, /AADSTS90091/],
  70021: ['spreading', CREDENTIAL, ALL_THREE, /allow 10 minutes/],
  700213: ['spreading', CREDENTIAL, SUBJECT, /allow 10 minutes/],
  50013: ['stale', /signature/, /fresh one/],
  500133: ['stale', /outside its time/, /fresh one/, /clock/],
  700024: ['stale', /outside its time/, /fresh one/, /clock/],
  700211: ['configuration', CREDENTIAL, /Set Issuer .* to https:\/\/issuer\.example\./],
  700212: ['configuration', CREDENTIAL, /Set Audience .* to api:\/\/Presented/, /AZURE_FEDERATED_AUDIENCE/],
  7002131: ['configuration', CREDENTIAL, SUBJECT, /expression/],
  7002138: ['configuration', CREDENTIAL, ALL_THREE, /upper and lower case/],
  700235: ['configuration', CREDENTIAL, SUBJECT, /expression/],
  70025: ['configuration', CREDENTIAL, ALL_THREE, /no federated credential/],
  7000226: ['configuration', CREDENTIAL, ALL_THREE, /no federated credential/],
  700016: ['configuration', /AZURE_CLIENT_ID/, /AZURE_TENANT_ID/, new RegExp(`az ad sp create --id ${us.clientId}`)],
  7000112: ['configuration', /disabled/, new RegExp(`az ad sp update --id ${us.clientId} --set accountEnabled=true`)],
  7000218: ['configuration', /client_assertion/, /proxy/],
  70003: ['configuration', /client_credentials/, /proxy/],
  50027: ['configuration', /promptbridge token inspect/, /GCE_METADATA_HOST/],
  70011: ['configuration', /wrong\.example\/\.default/, /AZURE_OPENAI_SCOPE to RESOURCE\/\.default/],
  1002012: ['configuration', /wrong\.example\/\.default/, /AZURE_OPENAI_SCOPE to RESOURCE\/\.default/],
  500011: ['configuration', /AZURE_OPENAI_SCOPE to RESOURCE\/\.default/, /same cloud/, /AZURE_TENANT_ID/],
  90002: ['configuration', new RegExp(us.tenantId), /AZURE_TENANT_ID/, /AZURE_CLOUD/],
  900023: ['configuration', new RegExp(us.tenantId), /AZURE_TENANT_ID/, /AZURE_CLOUD/],
  90038: ['configuration', new RegExp(us.tenantId), /login\.microsoftonline\.com/, /AZURE_CLOUD/],
  900382: ['configuration', new RegExp(us.tenantId), /login\.microsoftonline\.com/, /AZURE_CLOUD/],
  900432: ['configuration', new RegExp(us.tenantId), /login\.microsoftonline\.com/, /AZURE_CLOUD/],
  53003: ['configuration', /Conditional Access/, new RegExp(us.clientId)],
}

describe("a refusal with one of Entra's numbers", () => {
  for (const [aadsts, [nature, ...said]] of Object.entries(table)) {
    test(`AADSTS${aadsts} is ${nature}, and its hint names what to set`, () => {
      const diagnosis = refused(Number(aadsts))
      assert.equal(diagnosis.nature, nature)
      for (const pattern of said) assert.match(diagnosis.hint, pattern)
    })
  }

  test('is tested here for every number of the table', () => {
    assert.deepEqual(
      Object.keys(table).map(Number),
      [...AADSTS.keys()].toSorted((a, b) => a - b),
    )
  })

  test('has a fixture for every number of the table, and the table knows every fixture', () => {
    const fixtures = new Set(Object.values(ENTRA_ERRORS).map(({ aadsts }) => aadsts))
    assert.deepEqual(
      [...fixtures].toSorted((a, b) => a - b),
      [...AADSTS.keys()].toSorted((a, b) => a - b),
    )
  })

  test('describes the first subject mismatch in the words of the portal', () => {
    assert.equal(
      refused(700213).hint,
      `Set Subject of the federated credential of application ${us.clientId} to ${presented.subject} (the unique id of the service account, not its e-mail). If you just did, allow 10 minutes.`,
    )
  })

  test('says how to find the unique id when the ID token does not hold it', () => {
    const { hint } = atEntra({ httpStatus: 401, aadsts: [70021] })
    assert.match(hint, /gcloud iam service-accounts describe EMAIL --format='value\(uniqueId\)'/)
    assert.match(hint, /Issuer https:\/\/accounts\.google\.com/)
    assert.match(hint, /Audience api:\/\/FromSettings/)
  })

  test('is known by the first of several numbers that the table has', () => {
    assert.equal(refused(0, { aadsts: [123, 700212, 700213] }).hint, refused(700212).hint)
  })
})

describe('the status and the OAuth error', () => {
  for (const httpStatus of [408, 429, 500, 502, 503, 504, 529]) {
    test(`a ${httpStatus} passes, even with a number that is configuration`, () => {
      const { nature, hint } = refused(700211, { httpStatus, code: 'server_error' })
      assert.deepEqual([nature, hint.startsWith(`Entra answered ${httpStatus} server_error.`)], ['passing', true])
    })
  }

  for (const code of ['temporarily_unavailable', 'server_error']) {
    test(`${code} passes under any status, and under any number`, () => {
      assert.equal(atEntra({ httpStatus: 400, code, aadsts: [700211] }).nature, 'passing')
      assert.equal(atEntra({ httpStatus: 400, code, aadsts: [7654321] }).nature, 'passing')
    })
  }

  for (const aadsts of [[], [7654321], [700211]]) {
    test(`an issuer whose keys Entra could not read passes, with the numbers ${JSON.stringify(aadsts)}`, () => {
      const details = { httpStatus: 400, code: 'invalid_request', aadsts, presented, keysUnreadable: true } as const
      const { nature, hint } = atEntra(details)
      assert.equal(nature, 'passing')
      assert.match(hint, KEYS)
      assert.match(hint, /ends by itself/)
    })
  }

  test('no answer passes, and the hint names the address', () => {
    const { nature, hint } = atEntra({})
    assert.equal(nature, 'passing')
    assert.match(hint, /https:\/\/login\.microsoftonline\.com.*AZURE_CLOUD.*NODE_EXTRA_CA_CERTS/)
  })

  test('an answer that is no refusal and no token passes', () => {
    assert.equal(atEntra({ httpStatus: 302 }).nature, 'passing')
  })

  const byError: readonly (readonly [string, RegExp])[] = [
    ['invalid_client', ALL_THREE],
    ['unauthorized_client', /AZURE_CLIENT_ID/],
    ['invalid_scope', /AZURE_OPENAI_SCOPE/],
    ['invalid_resource', /AZURE_OPENAI_SCOPE/],
    ['invalid_tenant', /AZURE_TENANT_ID/],
    ['invalid_grant', /400 invalid_grant/],
    ['something_new', /400 something_new/],
  ]
  for (const [code, said] of byError) {
    test(`an unknown number under ${code} is configuration, and the hint says where to look it up`, () => {
      const { nature, hint } = atEntra({ httpStatus: 400, code, aadsts: [7654321], presented })
      assert.equal(nature, 'configuration')
      assert.match(hint, said)
      assert.match(hint, /https:\/\/login\.microsoftonline\.com\/error\?code=7654321; the correlation id/)
    })
  }

  test("a 4xx with one of Entra's numbers is Entra's own, with or without an OAuth error", () => {
    const { nature, hint } = atEntra({ httpStatus: 400, aadsts: [7654321] })
    assert.equal(nature, 'configuration')
    assert.match(hint, /^Entra answered 400 to application .*error\?code=7654321/)
  })

  test("a 4xx without an OAuth error may not be Entra's", () => {
    const { nature, hint } = atEntra({ httpStatus: 403 })
    assert.equal(nature, 'configuration')
    assert.match(hint, /403, without an OAuth error.*AZURE_AUTHORITY_HOST/)
  })
})

describe('the leg', () => {
  const cases: readonly (readonly [string, Parameters<typeof diagnose>[0], FailureNature, RegExp])[] = [
    ['no metadata server', { leg: 'google_id_token', details: {} }, 'passing', /TOKEN_SOURCE to impersonate:EMAIL/],
    ['a metadata 503', { leg: 'google_id_token', details: { httpStatus: 503 } }, 'passing', /503.*ends by itself/],
    [
      'a metadata 404',
      { leg: 'google_id_token', details: { httpStatus: 404 } },
      'configuration',
      /attach one to the service \(gcloud run services update/,
    ],
    [
      'impersonation forbidden',
      { leg: 'google_id_token', details: { httpStatus: 403, code: 'PERMISSION_DENIED' } },
      'configuration',
      /roles\/iam\.serviceAccountOpenIdTokenCreator.*on the service account; .* worker_token_operators\. Also enable/,
    ],
    [
      'a login that is over',
      { leg: 'google_id_token', details: { httpStatus: 400, code: 'invalid_grant' } },
      'configuration',
      /gcloud auth application-default login/,
    ],
    [
      'no account logged in',
      { leg: 'google_id_token', details: { code: 'no_credentials' } },
      'configuration',
      /gcloud auth application-default login/,
    ],
    [
      'a request that Google refuses',
      { leg: 'google_id_token', details: { httpStatus: 400 } },
      'configuration',
      /answered 400.*AZURE_FEDERATED_AUDIENCE/,
    ],
    [
      'a role that is missing or new, in either form',
      { leg: 'azure_refused', details: { httpStatus: 401, code: 'PermissionDenied' } },
      'spreading',
      new RegExp(`${us.clientId}.*"Cognitive Services OpenAI User" on the Azure OpenAI resource.*10 minutes`),
    ],
    ['a 403', { leg: 'azure_refused', details: { httpStatus: 403 } }, 'spreading', /Cognitive Services OpenAI User/],
    [
      'a fresh token refused',
      { leg: 'azure_refused', details: { httpStatus: 401 } },
      'configuration',
      /answered 401.*AZURE_TENANT_ID.*AZURE_OPENAI_SCOPE/,
    ],
    [
      'a token of another tenant',
      {
        leg: 'azure_refused',
        details: { httpStatus: 400, code: 'Tenant provided in token does not match resource token' },
      },
      'configuration',
      new RegExp(`${us.tenantId}.*Set AZURE_TENANT_ID`),
    ],
    ['an Azure 503', { leg: 'azure_refused', details: { httpStatus: 503 } }, 'passing', /ends by itself/],
    ['no az', { leg: 'azure_cli', details: { code: 'not_installed' } }, 'configuration', /aka\.ms\/azure-cli/],
    [
      'no login',
      { leg: 'azure_cli', details: { code: 'not_logged_in' } },
      'configuration',
      new RegExp(`az login --tenant ${us.tenantId}`),
    ],
    ['a login that Entra refuses', { leg: 'azure_cli', details: { aadsts: [700082] } }, 'configuration', /az login/],
    ['an Entra that is away', { leg: 'azure_cli', details: { aadsts: [90033] } }, 'passing', /ends by itself/],
    [
      "an issuer's keys that Entra could not read",
      { leg: 'azure_cli', details: { aadsts: [7654321], keysUnreadable: true } },
      'passing',
      /ends by itself/,
    ],
    ['an az that says nothing', { leg: 'azure_cli', details: {} }, 'passing', /az login.*ends by itself/],
  ]
  for (const [name, error, nature, said] of cases) {
    test(`${error.leg}: ${name} is ${nature}`, () => {
      const diagnosis = diagnose(error, us)
      assert.equal(diagnosis.nature, nature)
      assert.match(diagnosis.hint, said)
    })
  }
})

describe('whatever comes', () => {
  const TOKEN = `eyJ${'a'.repeat(40)}.eyJ${'b'.repeat(40)}.${'c'.repeat(40)}`
  const hostile = fc.oneof(fc.string(), fc.string({ unit: 'binary', maxLength: 400 }), fc.constant(TOKEN))
  const details = fc.record(
    {
      httpStatus: fc.oneof(fc.integer(), fc.integer({ min: 100, max: 599 })),
      code: hostile,
      aadsts: fc.array(fc.oneof(fc.double(), fc.integer(), fc.constantFrom(...AADSTS.keys()))),
      correlationId: hostile,
      presented: fc.record({ issuer: hostile, subject: hostile, audience: hostile }),
    },
    { requiredKeys: [] },
  )

  test('has a nature and a hint that is one bounded paragraph without a token', () => {
    fc.assert(
      fc.property(fc.constantFrom(...tokenLegs), details, (leg, drawn) => {
        const { nature, hint } = diagnose({ leg, details: drawn }, us)
        assert.ok(['passing', 'spreading', 'stale', 'configuration'].includes(nature))
        assert.match(hint, /^[\x20-\x7e]{20,2000}$/)
        assert.ok(!hint.includes('eyJ') && !hint.includes('undefined'), hint)
      }),
      { numRuns: 500 },
    )
  })

  test('a claim that may be a token, or is too long to be a claim, is not repeated', () => {
    for (const subject of [TOKEN, 'ya29.abc', '1'.repeat(201), 'a\nb', '']) {
      const { hint } = refused(700213, { presented: { ...presented, subject } })
      assert.match(hint, /to \(not shown\) \(the unique id/)
    }
  })
})

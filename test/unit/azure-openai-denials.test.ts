import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Failure } from '../../shared/job/failures.ts'
import { explainDenial } from '../../shared/models/azure-openai/explain-refused-token.ts'
import { readRefusal } from '../../shared/models/azure-openai/read-refusal.ts'

const CLIENT = '2f6d6d6a-0000-0000-0000-000000000000'
const us = {
  clientId: CLIENT,
  tenantId: 'contoso.onmicrosoft.com',
  authorityHost: 'https://login.microsoftonline.com',
  scope: 'https://cognitiveservices.azure.com/.default',
  audience: 'api://AzureADTokenExchange',
}

/** A refusal as the worker and the doctor see it: with the fix. */
function denied(httpStatus: number, error: unknown, headers: Record<string, string> = {}): Failure {
  return explainDenial(readRefusal({ httpStatus, headers: new Headers(headers), error, deployment: {} }, 0), us)
}

describe('a 403 of the network', () => {
  for (const [code, message] of [
    ['403', 'Access denied due to Virtual Network/Firewall rules.'],
    [
      '403',
      'A Virtual Network is configured for this resource. Please use the correct endpoint for making requests. Check https://aka.ms/cogsvc-vnet for more details.',
    ],
    ['AccessDenied', 'Public access is disabled. Please configure private endpoint.'],
    ['403', 'Traffic is not from an approved private endpoint.'],
    ['403', 'Public network access is disabled for this resource.'],
  ] as const) {
    test(`is about the network rules, not about a role: ${message}`, () => {
      const failure = denied(403, { code, message })
      assert.deepEqual([failure.kind, failure.code], ['forbidden', code])
      assert.match(failure.hint ?? '', /network rules.*Cloud NAT.*private endpoint/)
      assert.doesNotMatch(JSON.stringify(failure), /role|aka\.ms/)
    })
  }

  test('is a missing role where it says nothing of the network', async () => {
    for (const error of [undefined, { code: '403', message: 'Forbidden' }, '<html>']) {
      assert.match(denied(403, error).hint ?? '', /the role "Cognitive Services OpenAI User"/)
    }
  })
})

test('a 403 for the call volume of a free resource is about its tier', () => {
  const message = 'Out of call volume quota for OpenAI F0 pricing tier. Please retry after 12 days.'
  const failure = denied(403, { code: '403', message })
  assert.equal(failure.kind, 'forbidden')
  assert.match(failure.hint ?? '', /paid tier/)
})

describe('a resource that takes no tokens at this endpoint', () => {
  for (const [code, message] of [
    ['BadRequest', 'Please provide a custom subdomain for token authentication, otherwise API key is required.'],
    ['Request is badly formated', 'Resource Id is badly formed: NA'],
  ] as const) {
    test(`is a fault of the set-up, though it comes as a 400: ${message}`, () => {
      const failure = denied(400, { code, message })
      assert.deepEqual([failure.kind, failure.code], ['forbidden', code])
      assert.match(failure.hint ?? '', /custom subdomain.*https:\/\/NAME\.openai\.azure\.com/)
    })
  }

  test('is not what a prompt says that Azure quotes', async () => {
    const message = "Invalid value: 'Please provide a custom subdomain for token authentication'."
    assert.equal(denied(400, { code: 'BadRequest', message }).kind, 'rejected')
  })
})

describe('the data action that is missing', () => {
  const action = 'Microsoft.CognitiveServices/accounts/OpenAI/responses/write'
  const message = (named: string) =>
    `The principal \`5c0ffee5-0000\` lacks the required data action ${named} to perform \`POST /openai/v1/responses\` operation.`

  test('is quoted beside the role, and nothing else of the message', () => {
    for (const status of [401, 403]) {
      for (const named of [action, `\`${action}\``]) {
        const failure = denied(status, { code: 'PermissionDenied', message: message(named) })
        assert.deepEqual([failure.kind, failure.code], ['forbidden', `PermissionDenied: ${action}`])
        assert.match(failure.hint ?? '', new RegExp(`the app registration ${CLIENT} the role.*missing: ${action}\\.`))
        assert.doesNotMatch(JSON.stringify(failure), /5c0ffee5|POST/)
      }
    }
  })

  test("is no other text that stands in its place, and the older form's hint is as it was", () => {
    for (const named of ['canary', '`canary`', 'Microsoft.Storage/canary', 'Microsoft.CognitiveServices canary']) {
      const failure = denied(401, { code: 'PermissionDenied', message: message(named) })
      assert.equal(failure.code, 'PermissionDenied')
      assert.match(failure.hint ?? '', /allow 10 minutes\.$/)
      assert.doesNotMatch(JSON.stringify(failure), /canary/)
    }
  })
})

describe('a redirect', () => {
  const redirected = (location: string | undefined) =>
    denied(307, undefined, location === undefined ? {} : { location })

  test('is a fault of the set-up, and names the host alone', () => {
    for (const status of [301, 302, 303, 307, 308]) {
      const failure = denied(status, undefined, { location: 'https://elsewhere.example:8443/path?secret=canary' })
      assert.deepEqual([failure.kind, failure.code, failure.httpStatus], ['forbidden', 'redirect', status])
      assert.match(failure.hint ?? '', /redirects to elsewhere\.example:8443\. Nothing was sent there/)
      assert.doesNotMatch(JSON.stringify(failure), /canary/)
    }
  })

  test('within the host is named as another path of it', async () => {
    assert.match(redirected('/login').hint ?? '', /another path of the same host/)
  })

  test("names a host that is printable and of a host's length, or none", async () => {
    assert.match(redirected('https://b\u00fccher.example/').hint ?? '', /xn--bcher-kva\.example/)
    for (const location of [undefined, '', 'https://', 'mailto:a@b', `https://${'x'.repeat(300)}.example/`]) {
      assert.match(redirected(location).hint ?? '', /an unknown address|same host/, location)
    }
  })
})

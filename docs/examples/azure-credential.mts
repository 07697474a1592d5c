// Prints a blob of Azure Storage, which is read without a key. AZURE_TENANT_ID and AZURE_CLIENT_ID say as what.
//
//   node azure-credential.mts https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB
import { createAzureCredential } from 'promptbridge'

const [blob = ''] = process.argv.slice(2)
const {
  AZURE_TENANT_ID: tenantId = '',
  AZURE_CLIENT_ID: clientId = '',
  AZURE_AUTHORITY_HOST: authorityHost,
} = process.env

// Any client of the Azure SDK takes it, too: new BlobClient(blob, credential).
const credential = createAzureCredential({ tenantId, clientId, ...(authorityHost && { authorityHost }) })

const signal = AbortSignal.timeout(30_000)
const { token } = await credential.getToken('https://storage.azure.com/.default', { abortSignal: signal })
const headers = { authorization: `Bearer ${token}`, 'x-ms-version': '2021-12-02' }
const answer = await fetch(blob, { headers, signal })
if (!answer.ok) throw new Error(`Azure Storage answered ${answer.status}`)
console.log(await answer.text())

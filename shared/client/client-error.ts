/** timeout: the batch did not end in time. not_found: there is no such batch. exists: the batch was submitted before. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  readonly code: 'timeout' | 'not_found' | 'exists' | 'not_an_event'

  constructor(code: ClientError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** A document that has no usable text. The message continues the name of the document, and quotes no content. */
export class ReadError extends Error {
  override readonly name = 'ReadError'
}

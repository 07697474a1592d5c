type Defined<T> = { [K in keyof T]?: NonNullable<T[K]> }

/** The fields that have a value, for an object whose optional fields are absent rather than undefined. */
export function defined<T extends object>(fields: T): Defined<T> {
  const found: Defined<T> = {}
  for (const name in fields) {
    const value = fields[name]
    if (value !== undefined && value !== null) found[name] = value
  }
  return found
}

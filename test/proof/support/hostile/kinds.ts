import fc from 'fast-check'

/** Something generated, and what it is called in a count. */
export type Named<T> = T & { readonly kind: string }

/** Draws one of several kinds, each as often as the others. */
export function anyOf<T extends object>(kinds: Readonly<Record<string, fc.Arbitrary<T>>>): fc.Arbitrary<Named<T>> {
  return fc.oneof(...Object.entries(kinds).map(([kind, any]) => any.map((value) => ({ ...value, kind }))))
}

/** Draws the usual one half of the time. */
export function mostly<T>(usual: fc.Arbitrary<T>, others: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.boolean().chain((isUsual) => (isUsual ? usual : others))
}

/** Text that is known to break parsers, stores or logs. */
export const anyHostileText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    ...[
      '__proto__',
      'constructor',
      'prototype',
      'toString',
      'hasOwnProperty',
      'then',
      '__x__',
      '.',
      '../../../support',
      'a/b',
    ],
    ...['../../etc/passwd', '%2e%2e%2f', '', ' ', '\0', 'a\0b', '\r\n', '\n\n', '\u2028', '\u202e', '\ufeff', '\ufffd'],
    ...['\ud800', 'x\udc00', '\udc00\ud800', '😀', 'İ', 'ß', 'e\u0301', '\u1f468\u200d', '{{7*7}}', `' OR 1=1 --`],
    ...['null', 'undefined', 'NaN', '-0', '1e999', '0x10', 'x'.repeat(128), 'x'.repeat(257), 'é'.repeat(600)],
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
)

/** Stands in JSON for a text that JSON.stringify would not write. See hostileJson. */
const RAW = '@raw:'

/** A value of an unexpected type. Some are numbers that only a text can hold. */
export const anyWrongValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(null, true, false, 0, -1, 1.5, '', [], {}, [[]], [null], { '': null }, 'x', '7'),
  fc.constantFrom('1e999', '-1e999', '-0', '9007199254740993', '1'.repeat(400), '1e308', '5e-324').map((n) => RAW + n),
  anyHostileText,
)

/** JSON in which such numbers stand as they are. */
export function hostileJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(new RegExp(`"${RAW}([^"]+)"`, 'g'), '$1')
}

/**
 * What could steer a terminal, forge a line of a log, or make text read otherwise than it is: control characters, and
 * invisible ones such as those that turn the direction of writing.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu
/** Ends of lines, tabs, and what joins the letters of some scripts and the parts of some emoji. */
const KEPT = /[\n\t\u200c\u200d]/
const ORDINARY = /^[\n\t\x20-\x7e]*$/

/** Writes what could steer a terminal as \u and four hex digits; in JSON text, its reader reads the same as before. */
export function printable(text: string): string {
  return ORDINARY.test(text) ? text : text.replaceAll(UNSAFE, (found) => (KEPT.test(found) ? found : escaped(found)))
}

/** A character beyond U+FFFF has two. */
function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
}

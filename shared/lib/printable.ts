/**
 * Characters that can control a terminal, forge a log line, or hide the real text: control characters, and invisible ones
 * such as those that change the direction of writing.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu
/** Ends of lines, tabs, and what joins the letters of some scripts and the parts of some emoji. */
const KEPT = /[\n\t\u200c\u200d]/
const ORDINARY = /^[\n\t\x20-\x7e]*$/

/** Writes such characters as \u and four hex digits. JSON text keeps its meaning. */
export function printable(text: string): string {
  return ORDINARY.test(text) ? text : text.replaceAll(UNSAFE, (found) => (KEPT.test(found) ? found : escaped(found)))
}

/** A character beyond U+FFFF has two. */
function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
}

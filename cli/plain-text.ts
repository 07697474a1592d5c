/**
 * Makes outside text safe to print on one line of a terminal.
 *
 * Control characters could move the cursor or rename the window; the invisible ones that steer the direction of writing
 * could make a line read otherwise than it is.
 */
export function plainText(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
}

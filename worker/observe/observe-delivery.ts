import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import { type BackgroundWork, collectBackgroundWork } from '../delivery/background-work.ts'
import type { ParsedDelivery } from '../delivery/delivery.ts'
import type { Outcome } from '../delivery/outcome.ts'
import type { Observer } from './observer.ts'

/** Has one delivery processed, and observes it. Resolves with its outcome, and the background work that it began. */
export async function observeDelivery(
  observer: Pick<Observer, 'pushed' | 'ended'>,
  read: ParsedDelivery,
  receive: (waitUntil: WaitUntil) => Promise<Outcome>,
): Promise<{ readonly outcome: Outcome; readonly background: BackgroundWork }> {
  const background = collectBackgroundWork()
  observer.pushed(background.waitUntil)
  const outcome = await receive(background.waitUntil)
  observer.ended(outcome, read.delivery)
  return { outcome, background }
}

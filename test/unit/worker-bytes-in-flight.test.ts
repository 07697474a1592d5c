import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BytesInFlight, createBytesInFlight, type Reservation } from '../../worker/delivery/bytes-in-flight.ts'

/** A push that has arrived whole; undefined where there is no room for it. */
function arrive(bytes: BytesInFlight, size: number): Reservation | undefined {
  const room = bytes.admit(size)
  if (room?.grow(size) === false) assert.fail('what was admitted does not fit')
  return room
}

test('room is given to the very last byte, and to none beyond it', () => {
  const bytes = createBytesInFlight(100)
  const room = arrive(bytes, 60)
  assert.equal(arrive(bytes, 41), undefined)
  assert.ok(arrive(bytes, 39))
  assert.equal(room?.grow(2), false)
  assert.equal(room?.grow(1), true)
  assert.equal(bytes.admit(1), undefined)
  assert.equal(bytes.reserved(), 100)
})

test('a push that is admitted takes nothing until it arrives', () => {
  const bytes = createBytesInFlight(100)
  const [one, other] = [bytes.admit(100), bytes.admit(100)]
  assert.equal(bytes.reserved(), 0)
  assert.equal(one?.grow(60), true)
  assert.equal(other?.grow(41), false)
  assert.equal(bytes.reserved(), 60)
})

test('a push that is longer than all there is fits alone, and nothing beside it', () => {
  const bytes = createBytesInFlight(100)
  const room = arrive(bytes, 500)
  assert.equal(room?.grow(1), true)
  assert.equal(bytes.admit(1), undefined)
  room?.release()
  const small = arrive(bytes, 1)
  assert.equal(bytes.admit(500), undefined)
  small?.release()
  assert.ok(arrive(bytes, 500))
})

test('room is released once, however often release is called', () => {
  const bytes = createBytesInFlight(100)
  const room = arrive(bytes, 60)
  arrive(bytes, 40)
  room?.release()
  room?.release()
  assert.equal(bytes.reserved(), 40)
})

test('an answer takes its room beside the push, and both are released together', () => {
  const bytes = createBytesInFlight(100)
  const room = arrive(bytes, 10)
  assert.equal(room?.takeAnswer(40), true)
  const other = arrive(bytes, 10)
  assert.equal(other?.takeAnswer(41), false)
  assert.equal(other?.takeAnswer(40), true)
  assert.equal(bytes.reserved(), 100)
  room?.release()
  assert.equal(bytes.reserved(), 50)
})

test('an answer that is longer than all there is fits while no other is awaited, whatever pushes are being read', () => {
  const bytes = createBytesInFlight(100)
  const [first, second, third] = [arrive(bytes, 10), arrive(bytes, 10), arrive(bytes, 10)]
  assert.equal(first?.takeAnswer(500), true)
  assert.equal(second?.takeAnswer(500), false)
  assert.equal(third?.takeAnswer(0), false)
  assert.equal(arrive(bytes, 1), undefined)
  first?.release()
  assert.equal(third?.takeAnswer(0), true)
  assert.equal(second?.takeAnswer(500), false)
  third?.release()
  assert.equal(second?.takeAnswer(500), true)
})

test('a push without bytes is accepted while there is room, and releases nothing', () => {
  const bytes = createBytesInFlight(100)
  const room = arrive(bytes, 0)
  assert.equal(bytes.reserved(), 0)
  room?.release()
  assert.equal(bytes.reserved(), 0)
})

test('whatever comes and goes, no more is held than there is, but by one alone, and at the end nothing', () => {
  const size = fc.nat({ max: 150 })
  const which = fc.nat({ max: 9 })
  const step = fc.oneof(
    fc.record({ act: fc.constant('admit' as const), size }),
    fc.record({ act: fc.constant('grow' as const), size, which }),
    fc.record({ act: fc.constant('release' as const), which }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const bytes = createBytesInFlight(100)
      const held: { readonly room: Reservation; size: number }[] = []
      for (const done of steps) {
        if (done.act === 'admit') {
          const room = bytes.admit(done.size)
          if (room !== undefined) held.push({ room, size: 0 })
        } else if (done.act === 'release') {
          held.splice(done.which, 1)[0]?.room.release()
        } else {
          const one = held[done.which]
          if (one?.room.grow(done.size)) one.size += done.size
        }
        const sizes = held.map(({ size }) => size)
        const total = sizes.reduce((sum, one) => sum + one, 0)
        assert.equal(bytes.reserved(), total)
        assert.ok(total <= 100 || sizes.filter((one) => one > 0).length === 1, `${sizes}`)
      }
      for (const { room } of held) room.release()
      assert.equal(bytes.reserved(), 0)
    }),
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createBytesInFlight, type Reservation } from '../../worker/receive/bytes-in-flight.ts'

test('room is given to the very last byte, and to none beyond it', () => {
  const bytes = createBytesInFlight(100)
  assert.ok(bytes.reserve(60))
  assert.equal(bytes.reserve(41), undefined)
  assert.ok(bytes.reserve(40))
  assert.equal(bytes.reserve(1), undefined)
  assert.equal(bytes.reserved(), 100)
})

test('what does not fit takes nothing', () => {
  const bytes = createBytesInFlight(100)
  bytes.reserve(60)
  bytes.reserve(41)
  assert.equal(bytes.reserved(), 60)
})

test('a push that is longer than all there is fits alone, and nothing beside it', () => {
  const bytes = createBytesInFlight(100)
  const room = bytes.reserve(500)
  assert.equal(bytes.reserve(1), undefined)
  room?.release()
  const small = bytes.reserve(1)
  assert.equal(bytes.reserve(500), undefined)
  small?.release()
  assert.ok(bytes.reserve(500))
})

test('room is given back once, however often it is released', () => {
  const bytes = createBytesInFlight(100)
  const room = bytes.reserve(60)
  bytes.reserve(40)
  room?.release()
  room?.release()
  assert.equal(bytes.reserved(), 40)
})

test('room shrinks to what was needed, and never grows', () => {
  const bytes = createBytesInFlight(100)
  const room = bytes.reserve(60)
  room?.shrinkTo(10)
  assert.equal(bytes.reserved(), 10)
  room?.shrinkTo(60)
  assert.equal(bytes.reserved(), 10)
  room?.release()
  assert.equal(bytes.reserved(), 0)
})

test('an answer takes its room beside the push, and both are given back together', () => {
  const bytes = createBytesInFlight(100)
  const room = bytes.reserve(10)
  assert.equal(room?.takeAnswer(40), true)
  const other = bytes.reserve(10)
  assert.equal(other?.takeAnswer(41), false)
  assert.equal(other?.takeAnswer(40), true)
  assert.equal(bytes.reserved(), 100)
  room?.release()
  assert.equal(bytes.reserved(), 50)
})

test('an answer that is longer than all there is fits while no other is awaited, whatever pushes are being read', () => {
  const bytes = createBytesInFlight(100)
  const [first, second, third] = [bytes.reserve(10), bytes.reserve(10), bytes.reserve(10)]
  assert.equal(first?.takeAnswer(500), true)
  assert.equal(second?.takeAnswer(500), false)
  assert.equal(third?.takeAnswer(0), false)
  assert.equal(bytes.reserve(1), undefined)
  first?.release()
  assert.equal(third?.takeAnswer(0), true)
  assert.equal(second?.takeAnswer(500), false)
  third?.release()
  assert.equal(second?.takeAnswer(500), true)
})

test('a push of no bytes at all is let in while there is room, and gives back nothing', () => {
  const bytes = createBytesInFlight(100)
  const room = bytes.reserve(0)
  assert.equal(bytes.reserved(), 0)
  room?.release()
  assert.equal(bytes.reserved(), 0)
})

test('whatever comes and goes, no more is held than there is, but by one alone, and at the end nothing', () => {
  const size = fc.nat({ max: 150 })
  const which = fc.nat({ max: 9 })
  const step = fc.oneof(
    fc.record({ act: fc.constant('reserve' as const), size }),
    fc.record({ act: fc.constant('shrink' as const), size, which }),
    fc.record({ act: fc.constant('release' as const), which }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const bytes = createBytesInFlight(100)
      const held: { readonly room: Reservation; size: number }[] = []
      for (const done of steps) {
        if (done.act === 'reserve') {
          const room = bytes.reserve(done.size)
          if (room !== undefined) held.push({ room, size: done.size })
        } else if (done.act === 'release') {
          held.splice(done.which, 1)[0]?.room.release()
        } else {
          const one = held[done.which]
          one?.room.shrinkTo(done.size)
          if (one !== undefined) one.size = Math.min(one.size, done.size)
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

import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { firstAbort } from './abort.ts'

test('aborts with the first of its signals, for its reason, and stays so', () => {
  const [one, other] = [new AbortController(), new AbortController()]
  const first = firstAbort(one.signal, other.signal)
  expect(first.aborted).toBe(false)
  other.abort('the other')
  one.abort('the one')
  expect([first.aborted, first.reason]).toEqual([true, 'the other'])
})

test('is aborted from the start where one of its signals is', () => {
  const first = firstAbort(new AbortController().signal, AbortSignal.abort('before'))
  expect([first.aborted, first.reason]).toEqual([true, 'before'])
})

test('an abort that nobody watched is not lost when its signal is collected', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const follow = () => {
    const source = new AbortController()
    const first = firstAbort(source.signal)
    source.abort('over')
    return first
  }
  const first = follow()
  await turn()
  collect()
  expect([first.aborted, first.reason]).toEqual([true, 'over'])
})

// What Millrace makes of a namespace, over the API of the real server, whoever set it up.
import { randomBytes } from 'node:crypto'
import { Connection } from '@temporalio/client'
import { msToTs, tsToMs } from '@temporalio/common/lib/time.js'
import { expect, inject, onTestFinished, test } from 'vitest'
import { ensureNamespace } from '../../src/temporal/ensure-namespace.ts'

const DAY_MS = 86_400_000

test('a namespace that forgets after a day gets 30 days and the search attributes; a second time changes nothing', async () => {
  const connection = await Connection.connect({ address: inject('temporalAddress') })
  onTestFinished(() => connection.close())
  const namespace = `short-${randomBytes(3).toString('hex')}`
  const { workflowService, operatorService } = connection
  await workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: msToTs(DAY_MS) })
  // The server's own caches learn of a new namespace after a moment.
  await expect
    .poll(() => ensureNamespace(connection, namespace), { timeout: 30_000, interval: 500 })
    .toEqual({
      searchAttributes: true,
      notes: [],
    })

  const { config } = await workflowService.describeNamespace({ namespace })
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace })
  expect(tsToMs(config?.workflowExecutionRetentionTtl)).toBe(30 * DAY_MS)
  expect(Object.keys(customAttributes ?? {})).toEqual(
    expect.arrayContaining(['Pipeline', 'Target', 'LogicalDate', 'Outcome']),
  )
  expect(await ensureNamespace(connection, namespace)).toEqual({ searchAttributes: true, notes: [] })
})

test('a namespace that is not there is no reason to fail: what it does not allow is named', async () => {
  const connection = await Connection.connect({ address: inject('temporalAddress') })
  onTestFinished(() => connection.close())
  const { searchAttributes, notes } = await ensureNamespace(connection, 'nobody-made-this')
  expect(searchAttributes).toBe(false)
  expect(notes).toEqual([
    expect.stringMatching(/^search attributes cannot be added here, so runs can only be found by pipeline and id \(/),
    expect.stringMatching(/^this namespace keeps histories for less than 30 days .*\(/),
  ])
})

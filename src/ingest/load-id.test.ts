// What makes a load another load, and a batch another batch.
import { describe, expect, test } from 'vitest'
import { identifier } from '../pipeline/identifier.ts'
import type { IngestEntry } from '../pipeline/plan.ts'
import { batchId, loadId, type BatchOwner } from './load-id.ts'

const OWNER: BatchOwner = {
  pipeline: 'daily',
  logicalDate: '2026-11-18',
}
const ENTRY: IngestEntry = {
  id: 'raw.logs',
  into: { schema: identifier('raw'), table: identifier('logs') },
  file: 'inbox/logs-2026-11-18.csv',
  mode: 'replace',
  params: { date: '2026-11-18', dept: 'sales' },
  maxRejectShare: 0,
  contract: [
    { name: identifier('id'), type: { kind: 'int', bits: 32 }, origin: 'dbt source' },
    { name: identifier('at'), type: { kind: 'timestamp', zoned: false }, origin: 'dbt source' },
  ],
}
const CONTENT = 'a'.repeat(64)

const ids = (owner: Partial<BatchOwner> = {}, entry: Partial<IngestEntry> = {}, content = CONTENT) => ({
  batch: batchId({ ...OWNER, ...owner }, { ...ENTRY, ...entry }),
  load: loadId({ ...OWNER, ...owner }, { ...ENTRY, ...entry }, content),
})

test('the same content for the same batch under the same contract is the same load', () => {
  expect(ids({}, { params: { dept: 'sales', date: '2026-11-18' } })).toEqual(ids())
  expect(ids()).toEqual({
    batch: expect.stringMatching(/^[0-9a-f]{32}$/),
    load: expect.stringMatching(/^[0-9a-f]{32}$/),
  })
})

describe('another batch, and so another load:', () => {
  test.each<[string, Partial<BatchOwner>, Partial<IngestEntry>]>([
    ['pipeline', { pipeline: 'hourly' }, {}],
    ['logical date', { logicalDate: '2026-11-19' }, {}],
    ['params that the entry uses', {}, { params: { date: '2026-11-18', dept: 'ops' } }],
    ['entry', {}, { id: 'raw.logs#2' }],
    ['raw table', {}, { into: { schema: identifier('raw'), table: identifier('logs2') } }],
  ])('%s', (_what, owner, entry) => {
    expect(ids(owner, entry).batch).not.toBe(ids().batch)
    expect(ids(owner, entry).load).not.toBe(ids().load)
  })

  test('no two owners are the same when written one after the other', () => {
    expect(ids({ pipeline: 'a', logicalDate: 'bc' }).batch).not.toBe(ids({ pipeline: 'ab', logicalDate: 'c' }).batch)
  })
})

const [id, at] = ENTRY.contract as [IngestEntry['contract'][0], IngestEntry['contract'][0]]

test.each<[string, Partial<IngestEntry>, string]>([
  ['content', {}, 'b'.repeat(64)],
  ['type', { contract: [{ ...id, type: { kind: 'int', bits: 64 } }, at] }, CONTENT],
  ['column name', { contract: [{ ...id, name: identifier('number') }, at] }, CONTENT],
  ['column less', { contract: [id] }, CONTENT],
])('the same batch, but another load: another %s', (_what, entry, content) => {
  expect(ids({}, entry, content).batch).toBe(ids().batch)
  expect(ids({}, entry, content).load).not.toBe(ids().load)
})

test.each<[string, Partial<IngestEntry>]>([
  ['where the file lies', { file: 'elsewhere/logs.csv' }],
  ['how many rejects are allowed', { maxRejectShare: 0.5 }],
  [
    'where the types were declared',
    { contract: [id, at].map((column) => ({ ...column, origin: 'pipeline' as const })) },
  ],
])('changes nothing: %s', (_what, entry) => {
  expect(ids({}, entry)).toEqual(ids())
})

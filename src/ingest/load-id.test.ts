// What makes a load another load, and a batch another batch.
import { describe, expect, test } from 'vitest'
import { contractOf, ingestEntry } from '../../tests/support/ingest-entry.ts'
import { DEFAULT_DIALECT } from '../pipeline/dialect.ts'
import { identifier } from '../pipeline/identifier.ts'
import type { IngestEntry } from '../pipeline/plan.ts'
import { batchId, loadId, type BatchOwner } from './load-id.ts'

const OWNER: BatchOwner = {
  pipeline: 'daily',
  logicalDate: '2026-11-18',
}
const ENTRY = ingestEntry({
  params: { date: '2026-11-18', dept: 'sales' },
  contract: contractOf({ id: 'int', at: 'timestamp' }),
})
const A = 'a'.repeat(64)
const B = 'b'.repeat(64)

const ids = (owner: Partial<BatchOwner> = {}, entry: Partial<IngestEntry> = {}, contents: readonly string[] = [A]) => ({
  batch: batchId({ ...OWNER, ...owner }, { ...ENTRY, ...entry }, contents),
  load: loadId({ ...OWNER, ...owner }, { ...ENTRY, ...entry }, contents),
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

describe('the batch', () => {
  const batch = (mode: IngestEntry['mode'], contents: readonly string[], logicalDate = OWNER.logicalDate) =>
    ids({ logicalDate }, { mode }, contents).batch

  test.each(['replace', 'upsert'] as const)('of %s is the logical date, whatever the content', (mode) => {
    expect(batch(mode, [B])).toBe(batch(mode, [A]))
    expect(batch(mode, [A], '2026-11-19')).not.toBe(batch(mode, [A]))
  })

  test('of a snapshot is the same on every date', () => {
    expect(batch('snapshot', [B], '2026-11-19')).toBe(batch('snapshot', [A]))
  })

  test('of what is appended is its content, on every date', () => {
    expect(batch('append', [A], '2026-11-19')).toBe(batch('append', [A]))
    expect(batch('append', [B])).not.toBe(batch('append', [A]))
    expect(batch('append', [A, B])).not.toBe(batch('append', [A]))
  })
})

function withFirstColumn(change: Partial<NonNullable<IngestEntry['contract']>[number]>): Partial<IngestEntry> {
  return { contract: (ENTRY.contract ?? []).map((column, index) => (index === 0 ? { ...column, ...change } : column)) }
}

test.each<[string, Partial<IngestEntry>, string[]]>([
  ['content', {}, [B]],
  ['number of files', {}, [A, B]],
  ['type', withFirstColumn({ type: { kind: 'int', bits: 64 } }), [A]],
  ['column name', withFirstColumn({ name: identifier('number') }), [A]],
  ["name of a column in the file's header", withFirstColumn({ header: 'Id' }), [A]],
  ['rule: no NULL', withFirstColumn({ notNull: true }), [A]],
  ['rule: accepted values', withFirstColumn({ accepted: ['1'] }), [A]],
  ['rule: minimum', withFirstColumn({ min: '1' }), [A]],
  ['rule: maximum', withFirstColumn({ max: '1' }), [A]],
  ['column that may be missing', withFirstColumn({ optional: true }), [A]],
  ['column less', { contract: (ENTRY.contract ?? []).slice(0, 1) }, [A]],
  ['contract: none', { contract: null }, [A]],
  ['policy for extra columns', { extraColumns: 'evolve' }, [A]],
  [
    'added column',
    { added: [{ name: identifier('x'), type: { kind: 'string' }, value: { kind: 'text', text: '' } }] },
    [A],
  ],
  ['dialect', { dialect: { ...DEFAULT_DIALECT, decimal: ',' } }, [A]],
  ['time zone', { timeZone: 'Europe/Paris' }, [A]],
  ['key', { key: [identifier('id')] }, [A]],
  ['rule for duplicates', { duplicates: 'keep_last' }, [A]],
  ['column that says which row is newer', { newestBy: identifier('at') }, [A]],
  ['raw table: texts', { rawAsText: true }, [A]],
  ['mode', { mode: 'upsert' }, [A]],
])('the same batch, but another load: another %s', (_what, entry, contents) => {
  expect(ids({}, entry, contents).batch).toBe(ids().batch)
  expect(ids({}, entry, contents).load).not.toBe(ids().load)
})

test('the same files in another order are another load: the later one may win', () => {
  expect(ids({}, {}, [B, A]).load).not.toBe(ids({}, {}, [A, B]).load)
})

test.each<[string, Partial<IngestEntry>]>([
  ['where the file lies', { files: 'elsewhere/logs.csv', inbox: 'elsewhere' }],
  ['what happens when there is none', { missing: 'wait', waitForMs: 1 }],
  ['how many rejects are allowed', { maxRejectShare: 0.5, maxRejects: 3 }],
  [
    'where the types were declared',
    { contract: (ENTRY.contract ?? []).map((column) => ({ ...column, origin: 'dbt source' as const })) },
  ],
])('changes nothing: %s', (_what, entry) => {
  expect(ids({}, entry)).toEqual(ids())
})

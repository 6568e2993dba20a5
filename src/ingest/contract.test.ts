// Where a raw table's contract comes from: the pipeline file, else the dbt source.
import { describe, expect, test } from 'vitest'
import type { Manifest } from '../dbt/manifest.ts'
import type { IngestDefinition } from '../pipeline/definition.ts'
import { parseTableName, type TableName } from '../pipeline/identifier.ts'
import { resolveContract } from './contract.ts'

type Columns = Manifest['sources'][number]['columns']

function manifest(columns: Columns): Manifest {
  const source = (table: string, columns: Columns) => ({
    uniqueId: `source.shop.raw.${table}`,
    schema: 'raw',
    table,
    file: 'models/sources.yml',
    columns,
  })
  return { sources: [source('viewing_logs', columns), source('users', [])], nodes: [] }
}

function resolve(into: string, columns: Columns, own?: { name: string; type: string }[]) {
  const entry = { into, files: 'x.csv', mode: 'replace', rejects: { max_share: 0 }, ...(own && { columns: own }) }
  return resolveContract(entry as IngestDefinition, parseTableName(into) as TableName, manifest(columns))
}

const INT = { kind: 'int', bits: 64 }
const STRING = { kind: 'string' }

test("the dbt source's columns are the contract, those without data_type as text", () => {
  const contract = resolve('raw.viewing_logs', [
    { name: 'log_id', dataType: 'BIGINT' },
    { name: 'device', dataType: null },
  ])

  expect(contract).toEqual([
    { name: 'log_id', type: INT, origin: 'dbt source' },
    { name: 'device', type: STRING, origin: 'dbt source without data_type' },
  ])
})

test('columns in the pipeline file come first, also for a table that is no source', () => {
  const own = [{ name: 'log_id', type: 'bigint' }]
  const expected = [{ name: 'log_id', type: INT, origin: 'pipeline' }]

  expect(resolve('raw.viewing_logs', [{ name: 'other', dataType: null }], own)).toEqual(expected)
  expect(resolve('raw.unknown', [], own)).toEqual(expected)
})

describe('refused as ContractUnknown', () => {
  test.each<[string, string, Columns, RegExp]>([
    [
      'a table that is no source, with the one that was meant',
      'raw.viewing_log',
      [],
      /^raw\.viewing_log is not a source of the dbt project \(did you mean 'raw\.viewing_logs'\?\); it has: raw\.viewing_logs, raw\.users\./,
    ],
    ['a source without columns', 'raw.users', [], /^source raw\.users declares no columns; .* in models\/sources\.yml/],
    [
      'an unknown type, with the one that was meant',
      'raw.viewing_logs',
      [{ name: 'log_id', dataType: 'bigin' }],
      /^column 'log_id' of raw\.viewing_logs in models\/sources\.yml has the unknown type 'bigin' \(did you mean 'bigint'\?\); known: string, /,
    ],
    [
      'a name in capitals',
      'raw.viewing_logs',
      [{ name: 'LogId', dataType: null }],
      /^column 'LogId' .* is not a name of lower-case letters/,
    ],
    [
      "a name of the loader's own",
      'raw.viewing_logs',
      [{ name: '_load_id', dataType: null }],
      /^column '_load_id' .*a leading _ is the loader's own/,
    ],
  ])('%s', (_what, into, columns, message) => {
    expect(() => resolve(into, columns)).toThrow(
      expect.objectContaining({ type: 'ContractUnknown', message: expect.stringMatching(message) }),
    )
  })
})

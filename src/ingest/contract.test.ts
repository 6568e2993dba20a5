// Where a raw table's contract comes from: the pipeline file, else the dbt source, else the first header.
import { describe, expect, test } from 'vitest'
import type { Manifest } from '../dbt/manifest.ts'
import { pipelineSchema, type IngestDefinition } from '../pipeline/definition.ts'
import { parseTableName } from '../pipeline/identifier.ts'
import { contractOfHeader, resolveContract } from './contract.ts'

type Columns = Manifest['sources'][number]['columns']
/** Of an ingest entry, as the pipeline file says them. */
type Keys = Readonly<Record<string, unknown>>

function manifest(columns: Columns): Manifest {
  const source = (table: string, columns: Columns) => ({
    uniqueId: `source.shop.raw.${table}`,
    schema: 'raw',
    table,
    file: 'models/sources.yml',
    sourceName: 'raw',
    tags: [],
    columns,
  })
  const sources = [source('viewing_logs', columns), source('users', [])]
  return { digest: 'd', sources, nodes: [], endHooks: [], hasDefaultSelector: false, exposed: [] }
}

function definition(into: string, keys: Keys): IngestDefinition {
  const steps = [{ ingest: [{ into, files: 'x.csv', ...keys }] }]
  const entry = pipelineSchema.parse({ name: 'daily', dbt: { project_dir: 'dbt' }, steps }).steps[0]?.ingest?.[0]
  if (entry === undefined) throw new Error('no entry')
  return entry
}

function resolve(into: string, columns: Columns, keys: Keys = {}) {
  const table = parseTableName(into)
  if (table === undefined) throw new Error(`no table name: ${into}`)
  return resolveContract(definition(into, keys), table, manifest(columns), (text) => text.replace('{dept}', 'sales'))
}

const INT = { kind: 'int', bits: 64 }
const STRING = { kind: 'string' }
const PLAIN = { optional: false, notNull: false }
const LOG_ID = { name: 'log_id', dataType: 'BIGINT' }

test("the dbt source's columns are the contract, those without data_type as text", () => {
  const { contract } = resolve('raw.viewing_logs', [LOG_ID, { name: 'device', dataType: null }])

  expect(contract).toEqual([
    { name: 'log_id', header: 'log_id', type: INT, origin: 'dbt source', ...PLAIN },
    { name: 'device', header: 'device', type: STRING, origin: 'dbt source without data_type', ...PLAIN },
  ])
})

test("the loader's own columns and the added ones may be described there, no file brings them", () => {
  const described = ['_load_id', '_source_file', '_source_record', '_loaded_at', '_logical_date', 'dept']

  const { contract, added } = resolve(
    'raw.viewing_logs',
    [LOG_ID, ...described.map((name) => ({ name, dataType: 'varchar' }))],
    { add: { dept: '{dept}' } },
  )

  expect(contract?.map(({ name }) => name)).toEqual(['log_id'])
  expect(added).toEqual([{ name: 'dept', type: STRING, value: { kind: 'text', text: 'sales' } }])
})

test('columns in the pipeline file come first, also for a table that is no source', () => {
  const columns = [{ name: 'log_id', type: 'bigint' }]
  const expected = [{ name: 'log_id', header: 'log_id', type: INT, origin: 'pipeline', ...PLAIN }]

  expect(resolve('raw.viewing_logs', [{ name: 'other', dataType: null }], { columns }).contract).toEqual(expected)
  expect(resolve('raw.unknown', [], { columns }).contract).toEqual(expected)
  expect(resolve('raw.unknown', [], { columns: { list: columns } }).contract).toEqual(expected)
})

test('a renamed column keeps the name that the header has; an optional one is marked', () => {
  const columns = [{ name: 'Kunde Nr.', rename: 'kunde_nr', type: 'bigint', optional: true }]

  expect(resolve('raw.unknown', [], { columns }).contract).toEqual([
    { name: 'kunde_nr', header: 'Kunde Nr.', type: INT, origin: 'pipeline', optional: true, notNull: false },
  ])
})

test.each<[unknown, string]>([
  [undefined, 'strict'],
  ['evolve', 'evolve'],
  ['ignore_extra', 'ignore_extra'],
  [[{ name: 'log_id' }], 'strict'],
  [{ list: [{ name: 'log_id' }] }, 'strict'],
  [{ match: 'ignore_extra', list: [{ name: 'log_id' }] }, 'ignore_extra'],
])('columns: %j means that extra columns are treated as %s', (columns, extraColumns) => {
  expect(resolve('raw.viewing_logs', [LOG_ID], { columns })).toMatchObject({ extraColumns })
})

test('a source without columns leaves the contract to the first header', () => {
  expect(resolve('raw.users', [])).toMatchObject({ contract: null, key: [], newestBy: null, duplicates: 'reject' })
})

test('rules and key stand with their columns, as texts; a key is never NULL', () => {
  const { contract, key, newestBy } = resolve('raw.viewing_logs', [LOG_ID, { name: 'score', dataType: 'double' }], {
    key: ['log_id'],
    mode: 'upsert',
    newest_by: 'score',
    rules: { score: { not_null: false, min: 0, max: 1.5, accepted: [1, '0.5', true] } },
  })

  expect(contract).toMatchObject([
    { name: 'log_id', notNull: true },
    { name: 'score', notNull: false, min: '0', max: '1.5', accepted: ['1', '0.5', 'true'] },
  ])
  expect({ key, newestBy }).toEqual({ key: ['log_id'], newestBy: 'score' })
})

test("added columns have the source's type, else that of what they hold", () => {
  const add = { version: 2, flag: true, at: '$loaded_at', day: '$logical_date', file: '$source_file', dept: 'x {dept}' }

  const { added } = resolve('raw.viewing_logs', [LOG_ID, { name: 'version', dataType: 'smallint' }], { add })

  expect(added).toEqual([
    { name: 'version', type: { kind: 'int', bits: 16 }, value: { kind: 'text', text: '2' } },
    { name: 'flag', type: STRING, value: { kind: 'text', text: 'true' } },
    { name: 'at', type: { kind: 'timestamp', zoned: false }, value: { kind: 'loaded_at' } },
    { name: 'day', type: { kind: 'date' }, value: { kind: 'logical_date' } },
    { name: 'file', type: STRING, value: { kind: 'source_file' } },
    { name: 'dept', type: STRING, value: { kind: 'text', text: 'x sales' } },
  ])
})

describe('refused as ContractUnknown', () => {
  test.each<[string, string, Columns, Keys, RegExp]>([
    [
      'a table that is no source, with the one that was meant',
      'raw.viewing_log',
      [],
      {},
      /^raw\.viewing_log is not a source of the dbt project \(did you mean 'raw\.viewing_logs'\?\); it has: raw\.viewing_logs, raw\.users\./,
    ],
    [
      'an unknown type, with the one that was meant',
      'raw.viewing_logs',
      [{ name: 'log_id', dataType: 'bigin' }],
      {},
      /^column 'log_id' of raw\.viewing_logs in models\/sources\.yml has the unknown type 'bigin' \(did you mean 'bigint'\?\); known: string, /,
    ],
    [
      'an unknown type in the pipeline file',
      'raw.viewing_logs',
      [],
      { columns: [{ name: 'log_id', type: 'bigin' }] },
      /^column 'log_id' of raw\.viewing_logs in the pipeline file has the unknown type 'bigin'/,
    ],
    [
      'a name in capitals',
      'raw.viewing_logs',
      [{ name: 'LogId', dataType: null }],
      {},
      /^column 'LogId' .* is not a name of lower-case letters/,
    ],
    [
      "a name of the loader's own",
      'raw.viewing_logs',
      [{ name: '_mine', dataType: null }],
      {},
      /^column '_mine' .*a leading _ is the loader's own/,
    ],
    [
      "an added column of the loader's own",
      'raw.viewing_logs',
      [LOG_ID],
      { add: { _load_id: 'x' } },
      /^column '_load_id' of added columns .*a leading _ is the loader's own/,
    ],
    [
      'rules, key and newest_by about columns that there are not, all of them',
      'raw.viewing_logs',
      [LOG_ID],
      { mode: 'upsert', key: ['logid'], newest_by: 'at', rules: { log: { min: 1 } } },
      /^rules: raw\.viewing_logs has no column 'log'.*\nkey: raw\.viewing_logs has no column 'logid' \(did you mean 'log_id'\?\)\nnewest_by: .* 'at'$/,
    ],
    [
      'a rule about a renamed column by its old name',
      'raw.viewing_logs',
      [],
      { columns: [{ name: 'a', rename: 'b' }], rules: { a: { min: 1 } } },
      /^rules: raw\.viewing_logs has no column 'a'/,
    ],
    [
      'two columns of one name',
      'raw.viewing_logs',
      [],
      { columns: [{ name: 'a', rename: 'b' }, { name: 'b' }] },
      /^raw\.viewing_logs would have two columns 'b'$/,
    ],
    [
      'an added column that the file has, too',
      'raw.viewing_logs',
      [],
      { columns: [{ name: 'dept' }], add: { dept: 'x' } },
      /^raw\.viewing_logs would have two columns 'dept'$/,
    ],
    [
      'an added value that is not known',
      'raw.viewing_logs',
      [LOG_ID],
      { add: { at: '$today' } },
      /^add: '\$today' of column 'at' is none of \$loaded_at, \$logical_date, \$source_file$/,
    ],
    [
      'a key where nobody declared columns',
      'raw.users',
      [],
      { key: ['id'] },
      /^raw\.users has a key, but no declared columns; add them to the dbt source in models\/sources\.yml/,
    ],
    [
      'no header where nobody declared columns',
      'raw.users',
      [],
      { dialect: { header: false } },
      /^raw\.users has files without a header, but no declared columns/,
    ],
  ])('%s', (_what, into, columns, keys, message) => {
    expect(() => resolve(into, columns, keys)).toThrow(
      expect.objectContaining({ type: 'ContractUnknown', message: expect.stringMatching(message) }),
    )
  })
})

describe('a first header', () => {
  test('makes a contract of texts', () => {
    expect(contractOfHeader(['id', 'note'], 'in.csv')).toEqual(
      ['id', 'note'].map((name) => ({ name, header: name, type: STRING, origin: 'first header', ...PLAIN })),
    )
  })

  test('with names that no column can have is refused, with what to write instead', () => {
    expect(() => contractOfHeader(['id', 'Kunde Nr.', 'Être né', '1st', '_own', ''], 'in.csv')).toThrow(
      expect.objectContaining({
        type: 'HeaderMismatch',
        message:
          "in.csv: 'Kunde Nr.', 'Être né', '1st', '_own', '' cannot be column names (lower-case letters, digits and _). " +
          'Nothing was loaded; name them in the pipeline file: columns: [{ name: "id", rename: id }, ' +
          '{ name: "Kunde Nr.", rename: kunde_nr }, { name: "Être né", rename: etre_ne }, { name: "1st", rename: c_1st }, ' +
          '{ name: "_own", rename: own }, { name: "", rename: c_ }]',
      }),
    )
  })
})

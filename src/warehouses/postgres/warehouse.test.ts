// What is special to Postgres: texts of any kind through COPY, locks, rights, transactions that readers do not notice.
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  LOAD,
  makePostgresFixture,
  OWNER,
  RAW,
  type PostgresFixture,
} from '../../../tests/fixtures/postgres/database.ts'
import { usePostgres, withClient } from '../../../tests/support/postgres-server.ts'
import { identifier } from '../../pipeline/identifier.ts'

const postgres = usePostgres()
let pg: PostgresFixture
beforeEach(async () => {
  pg = await makePostgresFixture(await postgres().freshDatabase())
})
afterEach(() => pg.remove())

const current = (batchId: string = LOAD.batchId) => pg.use((warehouse) => warehouse.currentLoad(RAW, batchId))
const texts = async (sql: string) => (await pg.query(sql)).map((row) => Object.values(row).join('|'))

/** A session of somebody else, which holds what it takes until the work is done. */
async function beside<T>(sql: readonly string[], work: (client: Client) => Promise<T>): Promise<T> {
  return await withClient(pg.database, async (client) => {
    for (const statement of sql) await client.query(statement)
    return await work(client)
  })
}

test('a load brings its rows, each with where it came from, and its row of the ledger', async () => {
  expect(await current()).toBeUndefined()

  const counts = await pg.commit(['7,"a"', '8,', '9,""', 'x,bad'])

  expect(counts).toMatchObject({ read: 4, loaded: 3, rejected: 1, removed: 0 })
  expect(
    await pg.query(`select id, note, _source_record, _load_id, _source_file, _loaded_at::text, _logical_date::text
      from raw.logs order by id`),
  ).toEqual(
    [
      { id: 7, note: 'a', _source_record: '1' },
      { id: 8, note: null, _source_record: '2' },
      { id: 9, note: '', _source_record: '3' },
    ].map((row) => ({
      ...row,
      _load_id: 'A',
      _source_file: 'in.csv',
      _loaded_at: '2026-11-19 02:00:00.123',
      _logical_date: '2026-11-18',
    })),
  )
  expect(await current()).toEqual({
    loadId: 'A',
    read: 4,
    loaded: 3,
    superseded: 0,
    rejected: 1,
    rejectReasons: [{ code: 'not int', column: 'id', count: 1 }],
    runId: 'run 1',
    logicalDate: '2026-11-18',
    files: [{ name: 'in.csv', sha256: '7,"a"|8,|9,""|x,bad', sizeBytes: 28 }],
    loadedAt: '2026-11-19T02:00:00Z',
  })
  expect(
    await pg.use((warehouse) =>
      Array.fromAsync(warehouse.readRejects(RAW, { ...OWNER, logicalDate: LOAD.logicalDate })),
    ),
  ).toMatchObject([
    { file: 'in.csv', record: 4, code: 'not int', column: 'id', rawText: 'x,bad', rejectedAt: '2026-11-19T02:00:00Z' },
  ])
})

test('texts that mean something to COPY come through as they are', async () => {
  const notes = [
    '\\.',
    '\\N',
    '\\',
    'a\tb',
    'a\nb',
    'first\n\\.\nlast',
    'a\r\nb',
    '\\t',
    '"',
    ',',
    '',
    ' ',
    'é€😀',
    "'",
    '\u0001',
  ]
  await pg.commit(notes.map((note, index) => `${index},"${note.replaceAll('"', '""')}"`))

  const rows = await pg.query('select note from raw.logs order by id')
  expect(rows.map(({ note }) => note)).toEqual(notes)
})

test('rejects keep the text of their record, whatever is in it', async () => {
  await pg.commit(['x,"tab\there"', 'y,"back\\slash"', 'z,"two\nlines"'])

  expect(await texts('select raw_text from raw.logs__rejects order by _source_record')).toEqual([
    'x,"tab\there"',
    'y,"back\\slash"',
    'z,"two\nlines"',
  ])
})

test('every type keeps its value, read back by another client', async () => {
  const types = {
    a: 'smallint',
    b: 'int',
    c: 'bigint',
    d: 'real',
    e: 'double',
    f: 'numeric(38,9)',
    g: 'boolean',
    h: 'date',
    i: 'timestamp',
    j: 'timestamptz',
    k: 'time',
    l: 'json',
    m: 'text',
  }
  await pg.commit(
    [
      '-32768,-2147483648,-9223372036854775808,0.1,1e-300,12345678901234567890123456789.123456789,true,0001-01-01,' +
        '2026-03-29 02:30:00.123456,2026-03-29T02:30:00+02:00,23:59:59.999999,"{""a"": [1.0, ""\\u00e9""]}",x',
      '32767,2147483647,9223372036854775807,-1e38,0.1,-0.000000001,no,9999-12-31,1999-12-31 23:59:59,' +
        '2026-10-25T00:30:00Z,00:00:00,null,y',
      ',,,,,,,,,,,,',
    ],
    { types },
  )

  const list = Object.keys(types).map((name) => `${name}::text`)
  expect(
    await texts(
      `select concat_ws(' ', ${list.join(', ').replace('j::text', "(j at time zone 'UTC')::text")}) from raw.logs order by _source_record`,
    ),
  ).toEqual([
    '-32768 -2147483648 -9223372036854775808 0.1 1e-300 12345678901234567890123456789.123456789 true 0001-01-01 ' +
      '2026-03-29 02:30:00.123456 2026-03-29 00:30:00 23:59:59.999999 {"a": [1.0, "\\u00e9"]} x',
    '32767 2147483647 9223372036854775807 -1e+38 0.1 -0.000000001 false 9999-12-31 1999-12-31 23:59:59 2026-10-25 00:30:00 ' +
      '00:00:00 null y',
    '',
  ])
  expect(
    await texts(`select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'raw.logs'::regclass and attnum between 1 and 13
      order by attnum`),
  ).toEqual([
    'smallint',
    'integer',
    'bigint',
    'real',
    'double precision',
    'numeric(38,9)',
    'boolean',
    'date',
    'timestamp without time zone',
    'timestamp with time zone',
    'time without time zone',
    'json',
    'text',
  ])
  // The same contract again finds the table as it wants it.
  await pg.commit([',,,,,,,,,,,,'], { types, loadId: 'B' })
})

describe('modes', () => {
  test('a corrected file replaces its batch and no other', async () => {
    await pg.commit(['1,a', '2,a'])
    await pg.commit(['3,a'], { loadId: 'O', batchId: 'day 2' })
    const counts = await pg.commit(['1,b'], { loadId: 'B' })

    expect(counts.removed).toBe(2)
    expect(await texts('select _load_id, id from raw.logs order by 1, 2')).toEqual(['B|1', 'O|3'])
    expect(await current()).toMatchObject({ loadId: 'B' })
    expect(await current('day 2')).toMatchObject({ loadId: 'O' })
  })

  test('an upsert changes the row of a key, adds new ones, and counts what it did', async () => {
    const rules = { mode: 'upsert', key: [identifier('id')] } as const
    await pg.commit(['1,a', '2,a'], { rules })
    const counts = await pg.commit(['2,b', '3,b', '3,c'], { rules, loadId: 'B', batchId: 'day 2' })

    expect(counts).toMatchObject({ read: 3, loaded: 2, superseded: 1, rejected: 0 })
    expect(await texts('select _load_id, id, note from raw.logs order by id')).toEqual(['A|1|a', 'B|2|b', 'B|3|c'])
  })

  test('an upsert leaves a row that is newer, and counts the incoming one as superseded', async () => {
    const types = { id: 'int', at: 'timestamptz', note: 'text' }
    const rules = { mode: 'upsert', key: [identifier('id')], newestBy: identifier('at') } as const
    await pg.commit(['1,2026-01-02T00:00:00Z,new', '2,2026-01-01T00:00:00Z,old', '3,,none'], { types, rules })
    const counts = await pg.commit(
      ['1,2026-01-01T23:00:00Z,x', '2,2026-01-02T00:00:00Z,x', '3,2026-01-01T00:00:00Z,x'],
      {
        types,
        rules,
        loadId: 'B',
        batchId: 'day 2',
      },
    )

    expect(counts).toMatchObject({ read: 3, loaded: 2, superseded: 1 })
    expect(await texts('select id, note from raw.logs order by id')).toEqual(['1|new', '2|x', '3|x'])
  })

  test('kept as text, an upsert still knows which of two instants is the later', async () => {
    const types = { id: 'int', at: 'timestamp', note: 'text' }
    const rules = { mode: 'upsert', key: [identifier('id')], newestBy: identifier('at'), rawAsText: true } as const
    // 23:30 in Paris is before 23:00 in London.
    await pg.commit(['1,2026-01-01T23:00:00Z,london'], { types, rules })
    await pg.commit(['1,2026-01-01T23:30:00+01:00,paris'], { types, rules, loadId: 'B', batchId: 'day 2' })

    expect(await texts('select note from raw.logs')).toEqual(['london'])
  })

  test('texts are newer by their bytes, whatever language the database sorts in', async () => {
    const types = { id: 'int', version: 'text' }
    const rules = { mode: 'upsert', key: [identifier('id')], newestBy: identifier('version') } as const
    await pg.query('create schema raw')
    await pg.query(`create table raw.logs (id integer, version text collate "en-x-icu", _load_id text, _source_file text,
      _source_record bigint, _loaded_at timestamp, _logical_date date)`)
    await pg.commit(['1,a'], { types, rules })
    await pg.commit(['1,B'], { types, rules, loadId: 'B', batchId: 'day 2' })

    expect(await texts('select version from raw.logs')).toEqual(['a'])
  })
})

describe('a load that fails leaves what was there', () => {
  test('its counts were not accepted', async () => {
    await pg.commit(['1,a'])
    await expect(
      pg.withLoad(['2,b'], { loadId: 'B' }, (warehouse, load) =>
        warehouse.commitLoad(load, () => {
          throw new Error('too many rejects')
        }),
      ),
    ).rejects.toThrow('too many rejects')

    expect(await texts('select _load_id, id from raw.logs')).toEqual(['A|1'])
    expect(await current()).toMatchObject({ loadId: 'A' })
  })

  test('a trigger keeps rows out', async () => {
    await pg.commit(['1,a'])
    await pg.query(`create function raw.keep_out() returns trigger language plpgsql as 'begin return null; end'`)
    await pg.query(
      'create trigger keep_out before insert on raw.logs for each row when (new.id = 3) execute function raw.keep_out()',
    )

    await expect(pg.commit(['2,b', '3,b'], { loadId: 'B' })).rejects.toMatchObject({
      type: 'CountsDisagree',
      message: expect.stringMatching(
        /^raw\.logs: 2 rows were sent, but Postgres took 1; nothing was kept\. Look for triggers/,
      ),
    })
    expect(await texts('select _load_id, id from raw.logs')).toEqual(['A|1'])
  })

  test('a check refuses a row in the middle: nothing of the record is in the failure', async () => {
    await pg.commit(['1,a'])
    await pg.query(`alter table raw.logs add constraint small check (id < 50000)`)
    const many = Array.from({ length: 60_000 }, (_, index) => `${index},secret${index}`)

    await expect(pg.commit(many, { loadId: 'B' })).rejects.toMatchObject({
      type: 'WarehouseFailed',
      message: expect.stringMatching(
        /^127\.0\.0\.1:\d+\/test_\d+: new row for relation "logs" violates check constraint "small" \(COPY logs, line 50001\) \(SQLSTATE 23514\)$/,
      ),
    })
    expect(await texts('select _load_id, id from raw.logs')).toEqual(['A|1'])
    expect(await pg.commit(['2,b'], { loadId: 'C' })).toMatchObject({ loaded: 1, removed: 1 })
  })

  test('other columns, or a view', async () => {
    await pg.query('create schema raw; create table raw.logs (id bigint)')
    await expect(pg.commit(['1,a'])).rejects.toMatchObject({ type: 'ContractChanged' })
    await pg.query('drop table raw.logs; create view raw.logs as select 1 as id')
    await expect(pg.commit(['1,a'])).rejects.toMatchObject({
      type: 'ContractChanged',
      message: expect.stringMatching(/^raw\.logs is a view/),
    })
  })
})

test('a cancelled load ends at once, in the server too, and leaves what was there', async () => {
  await pg.commit(['1,a'])
  const abort = new AbortController()
  const reason = new Error('cancelled by somebody')
  const many = Array.from({ length: 300_000 }, (_, index) => `${index},${'x'.repeat(50)}`)

  await beside([], async (client) => {
    const load = pg.commit(many, { loadId: 'B' }, { place: { abort: abort.signal, run: RUN } })
    load.catch(() => undefined)
    await untilTrue(
      client,
      `select count(*) = 1 as ok from pg_stat_activity where query like 'COPY%' and state = 'active'`,
    )
    const startedAtMs = performance.now()
    abort.abort(reason)

    await expect(load).rejects.toBe(reason)
    expect(performance.now() - startedAtMs).toBeLessThan(4_000)
    await untilTrue(client, `select count(*) = 0 as ok from pg_stat_activity where application_name like 'millrace%'`)
  })
  expect(await texts('select _load_id, id from raw.logs')).toEqual(['A|1'])
})

const RUN = { pipeline: 'daily', runId: '0b1c2d3e-0000-4000-8000-000000000000', attempt: 1 }

async function untilTrue(client: Client, sql: string): Promise<void> {
  for (const until = performance.now() + 20_000; performance.now() < until; await sleep(20)) {
    const { rows } = await client.query<{ ok: boolean }>(sql)
    if (rows[0]?.ok === true) return
  }
  throw new Error(`never true: ${sql}`)
}

describe('several at a time', () => {
  test('first loads of one schema, all at once', async () => {
    const tables = ['a', 'b', 'c', 'd'].map((table) => ({ schema: identifier('raw'), table: identifier(table) }))
    await Promise.all(tables.map((table) => pg.commit(['1,a'], { table, batchId: table.table, loadId: table.table })))

    for (const { table } of tables) expect(await texts(`select count(*) from raw.${table}`)).toEqual(['1'])
    expect(await texts('select count(*) from raw.millrace_loads where replaced_by is null')).toEqual(['4'])
  })

  test('loads of one batch, all at once, leave one of them', async () => {
    await Promise.all(['A', 'B', 'C'].map((loadId) => pg.commit([`1,${loadId}`, `2,${loadId}`], { loadId })))

    expect(await texts('select count(*) as n, count(distinct _load_id) as loads from raw.logs')).toEqual(['2|1'])
    const [load] = await texts('select load_id from raw.millrace_loads where replaced_by is null')
    expect(await texts('select distinct _load_id from raw.logs')).toEqual([load])
  })

  test('a reader in the middle of a load sees what was there', async () => {
    await pg.commit(['1,a'])
    await pg.withLoad(['2,b'], { loadId: 'B' }, async (warehouse, load) => {
      let seen: string[] | undefined
      await warehouse.commitLoad(
        {
          ...load,
          stream: {
            ...load.stream,
            rows: async (take) => {
              const counts = await load.stream.rows(take)
              seen = await texts('select _load_id, id from raw.logs')
              return counts
            },
          },
        },
        () => undefined,
      )
      expect(seen).toEqual(['A|1'])
    })
    expect(await texts('select _load_id, id from raw.logs')).toEqual(['B|2'])
  })
})

describe('what the server does not let us do says what is needed', () => {
  const loader = { user: 'loader', password: 'of the loader' }
  beforeEach(async () => {
    const [role] = await pg.query(`select 1 from pg_roles where rolname = 'loader'`)
    if (role === undefined) await pg.query(`create role loader login password 'of the loader'`)
  })
  afterEach(() => pg.query('drop owned by loader cascade'))

  test('to create a schema', async () => {
    await expect(pg.commit(['1,a'], {}, { settings: loader })).rejects.toMatchObject({
      type: 'WarehouseAuth',
      message: expect.stringMatching(
        /: permission denied for database test_\d+\. Its owner has to run: GRANT CREATE ON DATABASE "test_\d+" TO "loader"$/,
      ),
    })
    await pg.query(`grant create on database ${pg.database.dbname} to loader`)
    expect(await pg.commit(['1,a'], {}, { settings: loader })).toMatchObject({ loaded: 1 })
  })

  test('to create tables in a schema, and to write to one', async () => {
    await pg.query('create schema raw')
    await expect(pg.commit(['1,a'], {}, { settings: loader })).rejects.toMatchObject({
      type: 'WarehouseAuth',
      message: expect.stringMatching(/GRANT USAGE, CREATE ON SCHEMA "raw" TO "loader"$/),
    })
    await pg.query('grant usage, create on schema raw to loader')
    await pg.commit(['1,a'])
    await expect(pg.commit(['2,b'], { loadId: 'B' }, { settings: loader })).rejects.toMatchObject({
      type: 'WarehouseAuth',
      message: expect.stringMatching(/GRANT SELECT, INSERT, UPDATE, DELETE ON \w+ TO "loader"$/),
    })
  })

  test('to take a role; with it, what is made belongs to the role', async () => {
    await pg.query(`drop role if exists writers`)
    await pg.query('create role writers')
    await pg.query(`grant create on database ${pg.database.dbname} to writers`)
    const settings = { ...loader, role: 'WRITERS' }

    await expect(pg.commit(['1,a'], {}, { settings })).rejects.toMatchObject({
      type: 'WarehouseAuth',
      message: expect.stringMatching(/GRANT "writers" TO "loader"$/),
    })
    await pg.query('grant writers to loader')
    await pg.commit(['1,a'], {}, { settings })

    expect(await texts(`select tableowner from pg_tables where tablename = 'logs'`)).toEqual(['writers'])
    await pg.query('drop owned by writers cascade; drop role writers')
  })
})

describe('leftovers', () => {
  const startedAt = new Date(Date.now() - 60_000).toISOString()
  const comment = (node: string) =>
    `/* {"app": "dbt", "dbt_version": "1.12", "node_id": "${node}", "target_name": "prod"} */`

  async function leave(
    applicationName: string,
    sql: string,
  ): Promise<{ readonly gone: Promise<string>; readonly end: () => Promise<void> }> {
    const client = new Client({ ...pg.database, database: pg.database.dbname, application_name: applicationName })
    client.on('error', () => undefined)
    await client.connect()
    const gone = client.query(sql).then(
      () => 'ended by itself',
      (error: Error & { code?: string }) => error.code ?? error.message,
    )
    await sleep(100)
    return { gone, end: () => client.end().catch(() => undefined) }
  }

  test('of the dead run and the nodes that its dbt had not finished are ended, all else stays', async () => {
    const sleeping = 'select pg_sleep(30)'
    const dead = [
      await leave(`millrace ${RUN.runId}`, `begin; ${sleeping}`),
      await leave('dbt', `${comment('model.shop.slow')} ${sleeping}`),
    ]
    const alive = [
      await leave('dbt', `${comment('model.shop.other')} ${sleeping}`),
      await leave('millrace another run', sleeping),
      await leave('psql', sleeping),
    ]
    const left = {
      runId: RUN.runId,
      dbt: [{ invocationId: null, nodes: ['model.shop.slow'], startedAt }],
    }

    expect(await pg.use((warehouse) => warehouse.endLeftovers(left), { place: { run: RUN } })).toBe(2)

    expect(await Promise.all(dead.map(({ gone }) => gone))).toEqual(['57P01', '57P01'])
    expect(await Promise.all(alive.map(({ gone }) => Promise.race([gone, sleep(50, 'still there')])))).toEqual(
      alive.map(() => 'still there'),
    )
    await pg.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()`,
    )
    await Promise.all([...dead, ...alive].map(({ end }) => end()))
  })

  test('queries of a later attempt of the same node stay', async () => {
    const query = await leave('dbt', `${comment('model.shop.slow')} select pg_sleep(30)`)
    const dbt = [
      { invocationId: null, nodes: ['model.shop.slow'], startedAt: new Date(Date.now() + 60_000).toISOString() },
    ]

    expect(await pg.use((warehouse) => warehouse.endLeftovers({ runId: RUN.runId, dbt }))).toBe(0)

    await pg.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()`,
    )
    await query.gone
    await query.end()
  })

  test('a load of this process that is at work is not taken for one', async () => {
    await pg.withLoad(
      ['1,a'],
      {},
      async (warehouse, load) => {
        const counts = await warehouse.commitLoad(
          {
            ...load,
            stream: {
              ...load.stream,
              rows: async (take) => {
                expect(await warehouse.endLeftovers({ runId: RUN.runId, dbt: [] })).toBe(0)
                return await load.stream.rows(take)
              },
            },
          },
          () => undefined,
        )
        expect(counts.loaded).toBe(1)
      },
      { place: { run: RUN } },
    )
  })
})

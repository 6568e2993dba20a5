// A budget of bytes holds while dbt runs, and before it does: with a dbt and a BigQuery that a test scripts.
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { MockActivityEnvironment } from '@temporalio/testing'
import { DefaultLogger } from '@temporalio/worker'
import { describe, expect, onTestFinished, test } from 'vitest'
import { A, asked, B, C, makeFake, type FakeDbt, type Step } from '../../tests/dbt/fake-dbt.ts'
import { PROJECT, refusal, startBigQueryFake, type BigQueryFake } from '../../tests/support/bigquery-fake.ts'
import { describeFailure, failureDetail } from '../pipeline/failure.ts'
import { identifier } from '../pipeline/identifier.ts'
import type { DbtFailureDetail, DbtReport } from '../pipeline/report.ts'
import { INSTALLATION, workspaceAt } from '../platform/workspace.ts'
import { createRunDbt, type RunDbtInput } from './run-dbt.ts'

const GB = 1_000_000_000

/** Connects to nothing: the signals by which a workflow is told of nodes end here. */
const DEAF = new Client({
  connection: Connection.lazy(),
  interceptors: { workflow: [{ signal: () => Promise.resolve() }] },
})
const sqlOf = (uniqueId: string) => `select * from raw.${uniqueId.split('.')[2]}`

/** manifest.json as far as it is read. */
function manifest(compiled: readonly string[] = [], views: readonly string[] = []): string {
  const nodes = [A, B, C].map((unique_id) => {
    const [resource_type, package_name, name = ''] = unique_id.split('.')
    const config = { materialized: views.includes(unique_id) ? 'view' : 'table' }
    const sql = compiled.includes(unique_id) ? { compiled_code: sqlOf(unique_id), language: 'sql' } : {}
    return { unique_id, resource_type, package_name, name, fqn: ['shop', name], config, ...sql }
  })
  return JSON.stringify({ sources: {}, nodes: Object.fromEntries(nodes.map((node) => [node.unique_id, node])) })
}

const parse = (views: readonly string[] = []): readonly Step[] => [
  ['begin'],
  ['leave', 'manifest.json', manifest([], views)],
  ['complete', true],
]
const compile = (...ids: readonly string[]): readonly Step[] => [
  ['begin'],
  ['rest'],
  ['leave', 'manifest.json', manifest(ids)],
  ['run_results'],
  ['complete', true],
]
const FINISH: readonly Step[] = [['rest'], ['run_results'], ['complete', true]]

/** A node that dbt-bigquery made, with the answer that it has of a job. */
function billed(uniqueId: string, bytes: number, status = 'success'): Step {
  const job = { location: 'EU', project_id: PROJECT, job_id: 'j', slot_ms: 21 }
  const response = {
    _message: 'CREATE TABLE',
    code: 'CREATE TABLE',
    rows_affected: 3,
    bytes_processed: bytes - 1,
    bytes_billed: bytes,
    ...job,
  }
  return ['node', uniqueId, status, status === 'success' ? 'OK' : 'Division by zero', response]
}

interface Attempt {
  readonly number?: number
  readonly runId?: string
  readonly billedBefore?: number
  readonly takeOver?: RunDbtInput['takeOver']
}

interface Outcome {
  readonly type: string
  readonly message: string
  readonly report: DbtReport
}

/** Attempts at a `dbt run` of a pipeline with a budget of 20 GB, on a DuckDB file or on that BigQuery. */
async function dbtWithBudget(calls: readonly (readonly Step[])[], bigquery?: BigQueryFake) {
  const fake = await makeFake(calls)
  const output =
    bigquery === undefined
      ? 'type: duckdb, path: w.duckdb, schema: marts'
      : `type: bigquery, method: oauth-secrets, token: t, project: ${PROJECT}, dataset: marts, api_endpoint: "${bigquery.endpoint}"`
  await writeFile(path.join(fake.place.projectDir, 'dbt_project.yml'), 'name: shop\nprofile: shop\n')
  await writeFile(
    path.join(fake.place.projectDir, 'profiles.yml'),
    `shop: { target: dev, outputs: { dev: { ${output} } } }\n`,
  )
  const kind = bigquery === undefined ? 'duckdb' : 'bigquery'
  const deps = {
    workspace: workspaceAt(fake.folder),
    python: INSTALLATION.python,
    searchAttributes: false,
    serveWarehouse: async () => 'queue',
  }
  const attempt = async ({ number = 1, runId = 'r', billedBefore = 0, takeOver = null }: Attempt = {}) => {
    const input: RunDbtInput = {
      plan: {
        pipeline: 'daily',
        target: 'dev',
        logicalDate: '2026-11-18',
        params: {},
        warehouse: { kind, label: 'w', schema: identifier('marts'), taskQueue: 'queue' },
        dbt: {
          projectDir: 'project',
          profilesDir: 'project',
          executable: 'dbt',
          digest: '',
          nodeBars: false,
          marts: [],
        },
        bigquery: { stagingBucket: null, maxBytesBilled: 20 * GB },
      },
      step: {
        id: 'dbt-run',
        command: 'run',
        select: [],
        exclude: [],
        options: {},
        retries: 0,
        retryDelayMs: null,
        retryTests: false,
        timeoutMs: 60_000,
      },
      attempt: number,
      takeOver,
      billedBefore,
    }
    const environment = new MockActivityEnvironment(
      { workflowExecution: { workflowId: 'w', runId }, activityId: `dbt-run/${number}`, attempt: 1 },
      { logger: new DefaultLogger('ERROR', () => undefined), client: DEAF },
    )
    const running = environment.run<[RunDbtInput], DbtReport, (input: RunDbtInput) => Promise<DbtReport>>(
      createRunDbt(deps),
      input,
    )
    return await running.then(
      (report): Outcome => ({ type: 'succeeded', message: '', report }),
      (error: unknown): Outcome => {
        const detail = failureDetail(error) as DbtFailureDetail | undefined // what a command fails with
        if (detail === undefined) throw error
        return { ...describeFailure(error), report: detail.report }
      },
    )
  }
  return { fake, attempt }
}

/** dbt's commands, in their order. */
async function commandsOf(fake: FakeDbt): Promise<string[]> {
  return (await fake.calls()).map(({ args }) => args.find((word) => !word.startsWith('-')) ?? '')
}

describe('while dbt runs', () => {
  test('it is ended as soon as the run was billed more than its budget, and the failure says for what', async () => {
    const { fake, attempt } = await dbtWithBudget([
      parse(),
      [['begin'], billed(A, 3 * GB), billed(B, 12.5 * GB), ['start', C], ['hang']],
    ])

    const { type, message, report } = await attempt({ billedBefore: 5 * GB })

    expect(type).toBe('BudgetExceeded')
    expect(message).toBe(
      'dbt run was stopped: the run was billed 20.5 GB so far, more than its budget of 20 GB. Read most: b 12.5 GB, a 3 GB. ' +
        'Have them read less, or raise `bigquery: { max_bytes_billed }` in pipelines/daily.yml, and retry the run: ' +
        'what was done is not done again',
    )
    expect(await fake.signals()).toEqual(['SIGINT'])
    expect(await fake.alive()).toEqual([])
    expect(report.bytesBilled).toBe(15.5 * GB)
    const nodes = report.nodes.map(({ name, status, bytesBilled }) => [name, status, bytesBilled])
    expect(nodes.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1))).toEqual([
      ['a', 'success', 3 * GB],
      ['b', 'success', 12.5 * GB],
      ['c', 'unfinished', null],
    ])
  })

  test('a budget that is used up to its last byte is not passed', async () => {
    const { attempt } = await dbtWithBudget([parse(), [['begin'], billed(A, 3 * GB), billed(B, 12 * GB), ...FINISH]])

    const { type, report } = await attempt({ billedBefore: 5 * GB })

    expect([type, report.bytesBilled, report.bytesEstimated]).toEqual(['succeeded', 15 * GB, null])
  })

  test('what earlier attempts of the step were billed counts, also for a node that is done again', async () => {
    const { attempt } = await dbtWithBudget([
      parse(),
      [
        ['begin'],
        billed(A, 9 * GB),
        billed(B, 6 * GB, 'error'),
        ['rest'],
        ['run_results'],
        ['complete', false],
        ['exit', 1],
      ],
      [['begin'], billed(B, 6 * GB), ['start', C], ['hang']],
    ])

    const first = await attempt()
    const second = await attempt({ number: 2 })

    expect([first.type, first.report.bytesBilled]).toEqual(['DbtUnknown', 15 * GB])
    expect(second.type).toBe('BudgetExceeded')
    expect(second.message).toContain(
      'the run was billed 21 GB so far, more than its budget of 20 GB. Read most: b 12 GB, a 9 GB.',
    )
    expect(second.report.bytesBilled).toBe(21 * GB)
  })

  test('what another run was billed, whose nodes are taken over, does not count', async () => {
    const { fake, attempt } = await dbtWithBudget([
      parse(),
      [
        ['begin'],
        billed(A, 19 * GB),
        billed(B, 0, 'error'),
        ['rest'],
        ['run_results'],
        ['complete', false],
        ['exit', 1],
      ],
      [['begin'], billed(B, 6 * GB), ...FINISH],
    ])
    await attempt()

    const { type, report } = await attempt({ runId: 'another', takeOver: { workflowId: 'w', runId: 'r' } })

    expect([type, report.takenOver, report.bytesBilled]).toEqual(['succeeded', 2, 6 * GB])
    expect(asked((await fake.calls()).at(-1) ?? { pid: 0, args: [], state: null })).toEqual([B])
  })
})

describe('before dbt runs', () => {
  async function openFake(bytes: Readonly<Record<string, number>>): Promise<BigQueryFake> {
    const fake = await startBigQueryFake()
    onTestFinished(() => fake.stop())
    fake.on('GET /datasets/marts', { json: { location: 'EU' } })
    fake.on('POST /queries', ({ json }) => {
      const { query, dryRun } = json as { query: string; dryRun?: boolean } // as the product sends it
      const found = Object.entries(bytes).find(([id]) => sqlOf(id) === query)
      if (dryRun !== true) return refusal(400, 'invalid', 'this is no dry run')
      return found === undefined
        ? refusal(404, 'notFound', `Not found: Table ${PROJECT}:raw.b was not found in location EU`)
        : { json: { jobComplete: true, totalBytesProcessed: String(found[1]) } }
    })
    return fake
  }
  const questions = (bigquery: BigQueryFake) =>
    bigquery.of('POST /queries').map(({ json }) => (json as { query: string }).query)

  test('what it will read is asked for, node by node, and stands in the report beside what was billed', async () => {
    const bigquery = await openFake({ [A]: 4 * GB })
    const run: readonly Step[] = [['begin'], billed(A, 5 * GB), ...FINISH]
    const { fake, attempt } = await dbtWithBudget([parse([C]), compile(A, B), run], bigquery)

    const { type, report } = await attempt()

    expect(type).toBe('succeeded')
    expect(await commandsOf(fake)).toEqual(['parse', 'compile', 'run'])
    expect(questions(bigquery).toSorted()).toEqual([sqlOf(A), sqlOf(B)])
    expect(report).toMatchObject({ bytesBilled: 5 * GB, bytesEstimated: 4 * GB, notEstimated: 1 })
    expect(Object.fromEntries(report.nodes.map(({ name, bytesEstimated }) => [name, bytesEstimated]))).toEqual({
      a: 4 * GB,
      b: null,
      c: null,
    })
  })

  test('a command that would read more than is left of the budget is not begun', async () => {
    const bigquery = await openFake({ [A]: 4 * GB, [C]: 9 * GB })
    const { fake, attempt } = await dbtWithBudget([parse(), compile(A, B, C), [['hang']]], bigquery)

    const { type, message, report } = await attempt({ billedBefore: 8 * GB })

    expect(type).toBe('BudgetExceeded')
    expect(message).toBe(
      'dbt run would read about 13 GB and what 1 more node reads, and the run was billed 8 GB so far: more than its budget ' +
        'of 20 GB. Nothing of it was run. Would read most: c 9 GB, a 4 GB. Have them read less, or raise ' +
        '`bigquery: { max_bytes_billed }` in pipelines/daily.yml, and retry the run',
    )
    expect(await commandsOf(fake)).toEqual(['parse', 'compile'])
    expect(report).toMatchObject({ total: 0, bytesBilled: null, bytesEstimated: 13 * GB, notEstimated: 1 })
    expect(existsSync(path.join(fake.folder, '.millrace/runs/w/r/dbt-run/1.1/planning'))).toBe(false)
  })

  test('a second attempt asks only for what is missing', async () => {
    const bigquery = await openFake({ [A]: 4 * GB, [B]: 1 * GB, [C]: 9 * GB })
    const { fake, attempt } = await dbtWithBudget(
      [
        parse(),
        compile(A, B, C),
        [
          ['begin'],
          billed(A, 5 * GB),
          billed(B, 0, 'error'),
          ['rest'],
          ['run_results'],
          ['complete', false],
          ['exit', 1],
        ],
        compile(B),
        [['begin'], ...FINISH],
      ],
      bigquery,
    )
    await attempt()

    const { type, report } = await attempt({ number: 2 })

    expect(type).toBe('succeeded')
    expect((await fake.calls())[3]?.args).toEqual(expect.arrayContaining(['compile', '--select', 'fqn:shop.b']))
    expect(questions(bigquery).slice(3)).toEqual([sqlOf(B)])
    expect(report.bytesEstimated).toBe(1 * GB)
  })

  test.each<[string, readonly Step[], Parameters<BigQueryFake['on']>[1] | undefined]>([
    [
      'dbt cannot compile',
      [['begin'], ['say', 'MainEncounteredError', { exc: 'no' }], ['complete', false], ['exit', 2]],
      undefined,
    ],
    ['the warehouse does not answer any more', compile(A, B, C), refusal(403, 'quotaExceeded')],
  ])('where %s, the command itself is left to tell', async (_what, compiling, answer) => {
    const bigquery = await openFake({})
    if (answer !== undefined) bigquery.on('POST /queries', answer)
    const { fake, attempt } = await dbtWithBudget(
      [parse(), compiling, [['begin'], billed(A, 5 * GB), ...FINISH]],
      bigquery,
    )

    const { type, report } = await attempt()

    expect(type).toBe('succeeded')
    expect(report).toMatchObject({ bytesBilled: 5 * GB, bytesEstimated: null, notEstimated: 0 })
    expect(await commandsOf(fake)).toEqual(['parse', 'compile', 'run'])
  })
})

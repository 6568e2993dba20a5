// All twelve commands on a project with traps in it: each one's verdict, and nothing written where it does not belong.
import { mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { RunReport } from '../../src/pipeline/report.ts'
import { workspaceAt, type Workspace } from '../../src/platform/workspace.ts'
import { writeAwkwardProject } from '../support/awkward-project.ts'
import { millrace } from '../support/cli.ts'
import { filesNamed } from '../support/dbt-run.ts'
import { queryCount } from '../support/warehouse.ts'
import { startWorker } from '../support/worker.ts'

async function makeWorkspace(steps: readonly string[]): Promise<Workspace> {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-awkward-')))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  await writeAwkwardProject(root, steps)
  return workspaceAt(root)
}

async function reportOf(workspace: Workspace): Promise<RunReport> {
  const [file = ''] = await filesNamed(workspace, 'report.json')
  return JSON.parse(await readFile(file, 'utf8')) as RunReport
}

test('every command comes to its verdict; a stale target, a foreign lock and a broken model confuse none of them', async () => {
  const good = 'exclude: [tag:broken]'
  const workspace = await makeWorkspace([
    'dbt: { command: parse }',
    'dbt: { command: ls, select: [tag:P2] }',
    'dbt: { command: seed }',
    `dbt: { command: run, select: [stg_customers] }`,
    'dbt: { command: snapshot }',
    `dbt: { command: test, indirect_selection: cautious, ${good} }`,
    '{ dbt: { command: source freshness }, on_failure: warn }',
    `dbt: { command: compile, ${good} }`,
    `dbt: { command: docs generate, ${good} }`,
    'dbt: { command: run-operation, macro: count_rows, args: { relation: dwh_base.customers } }',
    // Has models, but no test: green would be a lie.
    '{ name: no-tests, dbt: { command: test, select: [tag:P2] }, on_failure: warn }',
    'dbt: { command: deps }',
    '{ dbt: { command: build }, on_failure: warn }',
  ])
  const projectBefore = await readdir(path.join(workspace.root, 'shop'))
  await startWorker(workspace)
  const run = await millrace(workspace, ['run', 'awkward'])

  const report = await reportOf(workspace)
  expect(run.stderr).toBe('')
  expect(
    report.steps.map(({ id, state, failure, dbt }) => [id, state, failure?.type ?? null, dbt?.counts ?? null]),
  ).toEqual([
    ['dbt-parse', 'succeeded', null, {}],
    ['dbt-ls', 'succeeded', null, {}],
    ['dbt-seed', 'succeeded', null, { success: 1 }],
    ['dbt-run', 'succeeded', null, { success: 1 }],
    ['dbt-snapshot', 'succeeded', null, { success: 1 }],
    ['dbt-test', 'warned', null, { pass: 2, warn: 1 }],
    ['dbt-source-freshness', 'warned', null, { warn: 1 }],
    ['dbt-compile', 'succeeded', null, expect.objectContaining({ success: expect.any(Number) })],
    ['dbt-docs-generate', 'succeeded', null, expect.objectContaining({ success: expect.any(Number) })],
    ['dbt-run-operation', 'succeeded', null, {}],
    ['no-tests', 'warned', 'DbtNothingSelected', expect.anything()],
    ['dbt-deps', 'succeeded', null, {}],
    ['dbt-build', 'warned', 'DbtNodesFailed', { success: 4, pass: 2, warn: 1, error: 1, skipped: 1 }],
  ])
  expect(report.outcome).toBe('warned')
  // One broken model does not hide which marts are good.
  expect(report.steps.find(({ id }) => id === 'dbt-build')?.dbt?.marts).toEqual({
    unbroken: ['mart_good'],
    broken: [{ mart: 'mart_broken', because: 'int_failing' }],
  })
  expect(await queryCount(workspace, 'select count(*) from dwh_operationnel.mart_good')).toBe(2)
  expect(await filesNamed(workspace, 'catalog.json')).toHaveLength(1)
  // deps has installed the package as a link; beside it nothing has come or gone.
  expect(await readdir(path.join(workspace.root, 'shop'))).toEqual(projectBefore)
  expect(await readFile(path.join(workspace.root, 'shop/target/partial_parse.msgpack'), 'utf8')).toBe(
    'not a message pack',
  )
})

test('a selection item that matches nothing refuses the run before anything is done, with the nearest name', async () => {
  const workspace = await makeWorkspace([
    'dbt: { command: seed }',
    'dbt: { command: run, select: [stg_customers, mart_godo] }',
    "dbt: { command: test, select: ['tag:P3'], exclude: [source:row.customers] }",
  ])
  await startWorker(workspace)
  const run = await millrace(workspace, ['run', 'awkward'])

  expect(run.code).toBe(1)
  expect(run.stdout).toContain(
    "DbtNothingSelected: step dbt-run: 'mart_godo' matches nothing (did you mean 'mart_good'?)",
  )
  expect(run.stdout).toContain("step dbt-test: 'tag:P3' matches nothing (did you mean 'P2'?)")
  expect(run.stdout).toContain("step dbt-test: 'source:row.customers' matches nothing (did you mean 'raw.customers'?)")
  expect((await reportOf(workspace)).steps.map(({ state }) => state)).toEqual(['skipped', 'skipped', 'skipped'])
})

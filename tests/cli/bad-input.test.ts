// Each mistake gets one clear message that names the thing and the fix, a non-zero exit code, and starts nothing.
import { rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, inject, test } from 'vitest'
import { Client, Connection } from '@temporalio/client'
import type { Workspace } from '../../src/platform/workspace.ts'
import { millrace, taskQueueOf, testEnvironment } from '../support/cli.ts'
import { makeWorkspace } from '../support/workspace.ts'

async function runsStarted(workspace: Workspace): Promise<number> {
  const connection = await Connection.connect({ address: inject('temporalAddress') })
  const { count } = await new Client({ connection }).workflow.count(`TaskQueue = '${taskQueueOf(workspace)}'`)
  await connection.close()
  return count
}

describe('refused before anything starts', () => {
  const cases: [name: string, args: string[], message: RegExp][] = [
    ['an unknown pipeline', ['dialy'], /there is no pipeline 'dialy' \(did you mean 'daily'\?\); known: daily/],
    [
      'an unknown target',
      ['daily', '--target', 'dve'],
      /no target 'dve' \(did you mean 'dev'\?\).*profiles\.yml has: dev/,
    ],
    ['an unknown param', ['daily', '--dat', '2026-11-18'], /there is no param 'dat' \(did you mean 'date'\?\)/],
    ['a day that does not exist', ['daily', '--date', '2026-02-30'], /--date '2026-02-30' is not an existing day/],
    ['an unknown step', ['daily', '--only', 'dbt-rnu'], /--only 'dbt-rnu' is not a step \(did you mean 'dbt-run'\?\)/],
    ['a word that is no param', ['daily', 'today'], /'today' is not understood; params are given as --name value/],
  ]
  test.each(cases)('%s', async (_name, args, message) => {
    const workspace = await makeWorkspace()
    const { code, stderr } = await millrace(workspace, ['run', ...args])
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/^\s+at /m)
    expect(code).toBe(2)
    expect(await runsStarted(workspace)).toBe(0)
  })

  test('a pipeline file with several mistakes: all of them, each with its place', async () => {
    const workspace = await makeWorkspace()
    await writeFile(
      path.join(workspace.pipelinesDir, 'daily.yml'),
      'name: daily\ndbt: { project_dir: dbt }\nstesp: []\nsteps:\n  - dbt: { command: rnu }\n  - dbt: { command: run, retries: many }\n',
    )
    const { code, stderr } = await millrace(workspace, ['run', 'daily'])
    expect(stderr).toMatch(/pipelines\/daily\.yml:3:1: unknown key 'stesp' \(did you mean 'steps'\?\)/)
    expect(stderr).toMatch(/daily\.yml:5:21: .*'rnu' is none of deps, seed, run, .*\(did you mean 'run'\?\)/)
    expect(stderr).toMatch(/daily\.yml:6:35: .*retries/)
    expect(code).toBe(2)
  })

  test('a missing profile names the file to create', async () => {
    const workspace = await makeWorkspace()
    await rm(path.join(workspace.root, 'dbt/profiles.yml'))
    const env = testEnvironment(workspace, { HOME: workspace.root })
    const { code, stderr } = await millrace(workspace, ['run', 'daily'], env)
    expect(stderr).toMatch(
      /there is no profiles\.yml in dbt or .*; create dbt\/profiles\.yml with a profile 'millrace'/,
    )
    expect(code).toBe(2)
  })

  test('a server that is not there', async () => {
    const workspace = await makeWorkspace()
    const elsewhere = await millrace(
      workspace,
      ['run', 'daily'],
      testEnvironment(workspace, { TEMPORAL_ADDRESS: '127.0.0.1:1' }),
    )
    expect(elsewhere.stderr).toMatch(/no Temporal server answers at 127\.0\.0\.1:1 .*npm start/)
    const none = await millrace(workspace, ['run', 'daily'], testEnvironment(workspace, { TEMPORAL_ADDRESS: '' }))
    expect(none.stderr).toMatch(/no Temporal server runs for this workspace; start it with `npm start`/)
    expect([elsewhere.code, none.code]).toEqual([2, 2])
  })
})

describe('millrace check', () => {
  test('says of a good pipeline what it will do, with the type and origin of every column', async () => {
    const workspace = await makeWorkspace()
    const { code, stdout } = await millrace(workspace, ['check', 'daily'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/raw\.viewing_logs/)
    expect(stdout).toMatch(/average_bitrate_mbps\s+numeric\(6,3\)\s+dbt source/)
  })

  test('finds a dbt project that does not parse, a mart that does not exist, an unknown source', async () => {
    const workspace = await makeWorkspace()
    const daily = path.join(workspace.pipelinesDir, 'daily.yml')
    const write = (steps: string) => writeFile(daily, `name: daily\ndbt: { project_dir: dbt }\nsteps:\n${steps}`)
    await write('  - validate: [{ mart: mart_user, key: [user_id] }]\n')
    expect((await millrace(workspace, ['check', 'daily'])).stderr).toMatch(
      /'mart_user' \(did you mean 'mart_users'\?\): no such model/,
    )
    await write('  - ingest: [{ into: raw.viewing_log, files: x.csv }]\n')
    expect((await millrace(workspace, ['check', 'daily'])).stderr).toMatch(
      /raw\.viewing_log is not a source .*did you mean 'raw\.viewing_logs'/,
    )
    await writeFile(path.join(workspace.root, 'dbt/models/broken.sql'), 'select {{ oops( }}')
    const { code, stderr } = await millrace(workspace, ['check', 'daily'])
    expect(stderr).toMatch(/dbt parse could not start: Compilation Error in model broken/)
    expect(code).toBe(1)
    const asJson = await millrace(workspace, ['check', 'daily', '--json'])
    expect(JSON.parse(asJson.stdout)).toEqual([
      { pipeline: 'daily', problems: [expect.stringContaining('Compilation Error in model broken')] },
    ])
    expect(asJson).toMatchObject({ code: 1, stderr: '' })
  })
})

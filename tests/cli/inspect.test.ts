// `millrace inspect` as a person or a script meets it: exit codes, rows, the verdict as JSON, and what it refuses.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { millrace } from '../support/cli.ts'
import { makeWorkspace } from '../support/workspace.ts'

async function inspect(text: string, ...args: readonly string[]) {
  const workspace = await makeWorkspace()
  writeFileSync(path.join(workspace.root, 'in.csv'), text)
  return await millrace(workspace, ['inspect', 'in.csv', ...args])
}

test('a clean file: exit code 0, and its rows as they would be loaded', async () => {
  const { code, stdout, stderr } = await inspect('a;b\n1;NA\n"x;y";\n', '--delimiter', ';', '--null', 'NA', '--rows')
  expect({ code, stdout }).toEqual({ code: 0, stdout: '["1",null]\n["x;y",""]\n' })
  expect(stderr).toBe('✔ clean  in.csv: 2 records, 2 would be loaded, 0 rejected\n')
})

test('a file with rejects: exit code 1, the counts add up, each reason has its place', async () => {
  const { code, stdout } = await inspect('a,b\n1,2\n3\n4,5,\n', '--json')
  const verdict: unknown = JSON.parse(stdout)
  expect(code).toBe(1)
  expect(verdict).toMatchObject({ verdict: 'rejects', read: 3, loaded: 1, superseded: 0, rejected: 2 })
  expect(verdict).toHaveProperty('reasons.0', {
    code: 'too few fields',
    column: null,
    count: 1,
    examples: [{ record: 2, line: 3, byteOffset: 8, message: 'too few fields: the table has 2', rawText: '3' }],
  })
})

test('a file that cannot be understood: exit code 2, and why', async () => {
  const { code, stderr } = await inspect('')
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: '✖ refused  in.csv: it is empty, not even a header line is there\n',
  })
})

test('options that cannot be are refused, all of them at once, with the nearest known ones', async () => {
  const { code, stderr } = await inspect('a\n', '--encoding', 'utf8', '--delimiter', 'ab', '--skip', 'x')
  expect(code).toBe(2)
  expect(stderr).toContain("--encoding 'utf8' is none of utf-8, latin1, windows-1252, utf-16 (did you mean 'utf-8'?)")
  expect(stderr).toContain("--skip 'x' is not a number of lines")
  expect(stderr).toContain('--delimiter must be one printable ASCII character or a tab')
})

test('a table that no pipeline loads is named, with the nearest one', async () => {
  const { code, stderr } = await inspect('a\n', '--into', 'raw.viewing_log')
  expect(code).toBe(2)
  expect(stderr).toContain("no pipeline loads into 'raw.viewing_log' (did you mean 'raw.viewing_logs'?)")
})

test('with a table, the file is held to its contract', async () => {
  const sample = 'data/inbox/viewing_logs-2026-11-18.csv'
  const { code, stdout } = await millrace(await makeWorkspace(), ['inspect', sample, '--into', 'raw.viewing_logs'])
  expect(code).toBe(1)
  expect(stdout).toContain(
    '! rejects  data/inbox/viewing_logs-2026-11-18.csv: 2,888 records, 2,885 would be loaded, 3 rejected',
  )
  expect(stdout).toContain("'2026-02-30T20:15:00Z' is not a timestamp")
})

// What a pipeline may put into the environment of its dbt.
import { expect, test } from 'vitest'
import { dbtEnv, envConflicts, mergedEnv } from './dbt-env.ts'

test.each(['RUN_DATE', '_DAY', 'DBTX', 'REGION2'])('%s may be set', (name) => {
  expect(dbtEnv.safeParse({ [name]: '{date}' }).success).toBe(true)
})

test.each([
  'PATH',
  'HOME',
  'BASH_ENV',
  'PYTHONPATH',
  'PYTHONUNBUFFERED',
  'LD_PRELOAD',
  'DYLD_INSERT_LIBRARIES',
  'DBT_ENV_SECRET_TOKEN',
  'DBT_TARGET',
  'DBT_ENV_CUSTOM_ENV_MILLRACE_RUN',
  'PGPASSWORD',
  'HTTPS_PROXY',
  'GOOGLE_APPLICATION_CREDENTIALS',
  'run_date',
  'RUN-DATE',
  '1DAY',
  '',
  'A=B',
])("'%s' may not", (name) => {
  expect(dbtEnv.safeParse({ [name]: 'x' }).success).toBe(false)
})

test('two steps that give one variable two values are refused: a run has one project', () => {
  const steps = [{ env: { DAY: '{date}' } }, { env: {} }, { env: { DAY: 'x', OTHER: 1 } }]
  expect(envConflicts(steps)).toEqual([
    {
      path: ['steps', 2, 'dbt', 'env', 'DAY'],
      message: expect.stringMatching(/DAY is '\{date\}' in step 1: .*give it one value/),
    },
  ])
  expect(envConflicts([{ env: { DAY: '1' } }, { env: { DAY: 1 } }])).toEqual([])
})

test('all steps together, params filled in, whatever the order they stand in', () => {
  const fill = (text: string) => text.replace('{date}', '2026-11-18')
  expect(Object.entries(mergedEnv([{ env: { Z: true, DAY: '{date}' } }, {}, { env: { A: 3 } }], fill))).toEqual([
    ['A', '3'],
    ['DAY', '2026-11-18'],
    ['Z', 'true'],
  ])
})

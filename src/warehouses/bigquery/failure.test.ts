// BigQuery's errors in its own words (as its documentation and its users quote them) → failure types that say what to do.
import { expect, test } from 'vitest'
import { BigQueryError } from '../../platform/bigquery/error.ts'
import { describeFailure, retriesWorthwhile, type FailureType } from '../../pipeline/failure.ts'
import { asBigqueryFailure, checked } from './failure.ts'
import { bigquerySettings } from './settings.ts'

const settings = bigquerySettings({
  profile: 'p',
  target: 'prod',
  type: 'bigquery',
  profilesDir: `${process.cwd()}/dbt`,
  secrets: ['ya29.secret-token'],
  settings: {
    method: 'oauth',
    project: 'my-project',
    dataset: 'analytics',
    location: 'EU',
    execution_project: 'payer',
  },
})

type Case = readonly [type: FailureType, reason: string, status: number | undefined, message: string, advice: string]

const cases: readonly Case[] = [
  [
    'WarehouseAuth',
    'unauthenticated',
    undefined,
    'Could not load the default credentials',
    'gcloud auth application-default login',
  ],
  ['WarehouseAuth', 'authError', 401, 'Invalid Credentials', 'gcloud auth application-default login'],
  [
    'WarehouseAuth',
    'accessDenied',
    403,
    'Access Denied: Table my-project:raw.logs: Permission bigquery.tables.updateData denied on table my-project:raw.logs',
    "GRANT \\`roles/bigquery.dataEditor\\` ON SCHEMA \\`my-project\\`.raw TO 'user:<the account of this target>'",
  ],
  [
    'WarehouseAuth',
    'accessDenied',
    403,
    'Access Denied: Dataset my-project:raw: Permission bigquery.tables.getData denied on dataset my-project:raw',
    'GRANT \\`roles/bigquery.dataViewer\\` ON SCHEMA \\`my-project\\`.raw TO',
  ],
  [
    'WarehouseAuth',
    'accessDenied',
    403,
    'Access Denied: Project payer: User does not have bigquery.jobs.create permission in project payer.',
    'gcloud projects add-iam-policy-binding payer --member=user:<the account of this target> --role=roles/bigquery.jobUser',
  ],
  ['WarehouseBusy', 'rateLimitExceeded', 403, 'Exceeded rate limits: too many table update operations', 'tried again'],
  [
    'WarehouseBusy',
    'invalidQuery',
    400,
    'Transaction is aborted due to concurrent update against table my-project:raw.logs. Transaction ID: 1',
    'tried again',
  ],
  [
    'WarehouseBusy',
    'invalidQuery',
    400,
    'Could not serialize access to table raw.logs due to concurrent update',
    'tried again',
  ],
  [
    'WarehouseQuota',
    'quotaExceeded',
    403,
    'Quota exceeded: Your table exceeded quota for imports',
    'refills within 24 hours',
  ],
  ['WarehouseQuota', 'billingNotEnabled', 403, 'BigQuery: billing is not enabled', 'project payer'],
  [
    'BudgetExceeded',
    'bytesBilledLimitExceeded',
    400,
    'Query exceeded limit for bytes billed: 1000. 10485760 or higher required.',
    "maximum_bytes_billed in dbt/profiles.yml, target 'prod'",
  ],
  ['WarehouseQuota', 'resourcesExceeded', 400, 'Resources exceeded during query execution', 'smaller'],
  [
    'WarehouseUnreachable',
    'unreachable',
    undefined,
    'getaddrinfo EAI_AGAIN bigquery.googleapis.com',
    'Check the network',
  ],
  [
    'WarehouseUnreachable',
    'backendError',
    503,
    'Error encountered during execution. Retrying may solve the problem.',
    'network',
  ],
  [
    'ProfileInvalid',
    'notFound',
    404,
    'Not found: Dataset my-project:raw was not found in location EU',
    "CREATE SCHEMA \\`my-project\\`.raw OPTIONS (location = 'EU')",
  ],
  [
    'ProfileInvalid',
    'notFound',
    404,
    'Not found: Project my-projet',
    "Correct project my-project in dbt/profiles.yml, target 'prod'",
  ],
  [
    'ProfileInvalid',
    'invalid',
    400,
    'Cannot read and write in different locations: source: US, destination: EU',
    'All datasets of a target must be in one location',
  ],
  ['WarehouseFailed', 'invalidQuery', 400, 'Syntax error: Unexpected end of script', 'Syntax error'],
  ['WarehouseFailed', 'stopped', undefined, 'Job execution was cancelled', 'Start the run again'],
]

test.each(cases)('%s for %s (%s): %s', (type, reason, status, message, advice) => {
  const error = new BigQueryError(
    { reason, status, jobId: status === undefined && reason === 'stopped' ? 'j' : undefined },
    message,
  )
  const told = describeFailure(asBigqueryFailure(error, settings))

  expect(told.type).toBe(type)
  expect(told.message).toContain('my-project.analytics')
  expect(told.message).toContain(advice)
})

test('a role is granted to the account that is known', () => {
  const impersonate = 'loader@my-project.iam.gserviceaccount.com'
  const error = new BigQueryError({ reason: 'accessDenied', status: 403 }, 'Permission bigquery.jobs.create denied.')
  const told = asBigqueryFailure(error, { ...settings, auth: { ...settings.auth, impersonate } })
  expect(told.message).toContain(`--member=serviceAccount:${impersonate} `)
  expect(told.message).not.toContain('..')
})

test('only what a moment can change is tried again', () => {
  const types: FailureType[] = ['WarehouseAuth', 'WarehouseQuota', 'BudgetExceeded', 'ProfileInvalid']
  expect(types.filter((type) => retriesWorthwhile(type) > 0)).toEqual([])
})

test('a check of a script that did not hold is told as what it is', () => {
  const sql = checked(
    '1 = 2',
    'CountsDisagree',
    "the table raw.logs hasn't its rows; nothing was kept. Start the run again",
  )
  const [, text] = /ERROR\('(.*)'\)/.exec(sql) ?? []
  const error = new BigQueryError({ reason: 'invalidQuery', jobId: 'j' }, `Query error: ${text} at [7:1]`)

  expect(describeFailure(asBigqueryFailure(error, settings))).toEqual({
    type: 'CountsDisagree',
    message: 'the table raw.logs hasn’t its rows; nothing was kept. Start the run again',
  })
})

test('a secret that an error quotes is not told', () => {
  const error = new BigQueryError({ reason: 'invalid' }, 'bad token ya29.secret-token')
  expect(describeFailure(asBigqueryFailure(error, settings)).message).not.toContain('secret-token')
})

test('a full disk is told as such', () => {
  const error = new Error('IO Error: Could not write file "/x.parquet": No space left on device')
  expect(describeFailure(asBigqueryFailure(error, settings)).type).toBe('DiskFull')
})

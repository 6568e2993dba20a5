// BigQuery's errors → our failure types, each ending with what to do.
import { ApplicationFailure } from '@temporalio/common'
import { failure } from '../../pipeline/failure.ts'
import { BigQueryError, isConflict, isTransientCall } from '../../platform/bigquery/error.ts'
import { diskFailure } from '../../platform/files.ts'
import { knownRedactor } from '../../platform/redaction.ts'
import type { BigquerySettings } from './settings.ts'

/** Casts an error of BigQuery, of the engine or of the disk; one of our own stays what it is. */
export function asBigqueryFailure(error: unknown, settings: BigquerySettings): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error
  if (error instanceof BigQueryError) {
    const redact = knownRedactor(settings.secrets)
    return failureOf(new BigQueryError(error, redact(error.message)), settings)
  }
  const text = error instanceof Error ? error.message : String(error)
  if (/no space left on device/i.test(text)) {
    return failure('DiskFull', 'no space left on the disk of the scratch folder; free some and start the run again')
  }
  // What DuckDB quotes of a record must not get into a history.
  const told = text.replace(/\n?Original Line:[\s\S]*/, '')
  return diskFailure(error) ?? failure('WarehouseFailed', `the load for BigQuery could not be made ready: ${told}`)
}

/** What a check in a script says through ERROR() when it does not hold: `millrace CountsDisagree: …` (checked). */
const CHECK_FAILED = /millrace (CountsDisagree|PublishRefused): ([^\n]*?)(?: at \[\d+:\d+\])?$/m

/** SQL that fails the script, and so rolls its transaction back, where the condition does not hold. */
export function checked(condition: string, type: 'CountsDisagree' | 'PublishRefused', message: string): string {
  const text = `millrace ${type}: ${message}`.replaceAll('\\', '/').replaceAll("'", '’')
  return `SELECT IF(${condition}, 0, ERROR('${text}'))`
}

const OTHER_PLACE = /in different locations|was not found in location/i

function failureOf(error: BigQueryError, settings: BigquerySettings): ApplicationFailure {
  const { reason, message, status } = error
  const name = `${settings.project}.${settings.dataset}`
  const told = (what: string) =>
    `BigQuery (${name}) ${what}: ${message.replace(/\.+$/, '')}${error.jobId === undefined ? '' : ` [job ${error.jobId}]`}`
  const check = CHECK_FAILED.exec(message)
  if (check !== null)
    return failure(check[1] === 'PublishRefused' ? 'PublishRefused' : 'CountsDisagree', check[2] ?? '')
  if (isConflict(error)) {
    return failure('WarehouseBusy', `${told('was changed by somebody else at the same time')}. It is tried again`)
  }
  switch (reason) {
    case 'unauthenticated':
    case 'authError':
    case 'required':
      return failure('WarehouseAuth', `${told('does not know who asks')}. ${howToLogIn(settings)}`)
    case 'accessDenied':
    case 'forbidden':
      return failure('WarehouseAuth', `${told('refused')}. ${whatToGrant(message, settings)}`)
    case 'billingNotEnabled':
      return failure('WarehouseQuota', `${told('needs billing')}. Enable it for project ${settings.executionProject}`)
    case 'quotaExceeded':
      return failure(
        'WarehouseQuota',
        `${told('has no quota left')}. It refills within 24 hours; ask for more at console.cloud.google.com/iam-admin/quotas`,
      )
    case 'bytesBilledLimitExceeded':
      return failure(
        'BudgetExceeded',
        `${told('would read more than is allowed')}. Raise maximum_bytes_billed in ${settings.where}, or make the query read less`,
      )
    case 'resourcesExceeded':
    case 'responseTooLarge':
      return failure('WarehouseQuota', `${told('could not do it with what one query may use')}. Make the query smaller`)
    case 'rateLimitExceeded':
    case 'userRateLimitExceeded':
    case 'jobRateLimitExceeded':
      return failure('WarehouseBusy', `${told('was asked too often at once')}. It is tried again`)
    case 'notFound':
      return notFound(told('does not have it'), message, settings)
    case 'stopped':
      return failure('WarehouseFailed', `${told('job was cancelled')}. Start the run again`)
    default:
      break
  }
  if (OTHER_PLACE.test(message)) return notFound(told('has it elsewhere'), message, settings)
  if (isTransientCall(error) || (status !== undefined && status >= 500)) {
    return failure(
      'WarehouseUnreachable',
      `${told('does not answer')}. Check the network${settings.apiEndpoint === undefined ? '' : ` and api_endpoint (${settings.apiEndpoint})`}, then start the run again`,
    )
  }
  return failure('WarehouseFailed', told('could not do it'))
}

function notFound(told: string, message: string, settings: BigquerySettings): ApplicationFailure {
  const { project, location, where } = settings
  const [, dataset] = /Dataset [\w.:-]+[:.](\w+)/.exec(message) ?? []
  if (dataset !== undefined) return failure('ProfileInvalid', `${told}. ${howToCreate(dataset, settings)}`)
  if (/project/i.test(message) && !/table|job/i.test(message)) {
    return failure('ProfileInvalid', `${told}. Correct project ${project} in ${where}`)
  }
  if (OTHER_PLACE.test(message)) {
    return failure(
      'ProfileInvalid',
      `${told}. All datasets of a target must be in one location; ${where} says ${location ?? 'none'}`,
    )
  }
  return failure('WarehouseFailed', told)
}

export function howToCreate(dataset: string, { project, location }: BigquerySettings): string {
  const options = location === undefined ? '' : ` OPTIONS (location = '${location}')`
  return `Create it with infra/, or with: ${bqQuery(`CREATE SCHEMA \\\`${project}\\\`.${dataset}${options}`)}`
}

function howToLogIn({ method, where }: BigquerySettings): string {
  switch (method) {
    case 'oauth':
      return 'Log in on the machine of the worker: gcloud auth application-default login'
    case 'service-account':
    case 'service-account-json':
      return `Make a new key of the service account and put it into ${where}`
    case 'oauth-secrets':
      return `Put a token that still holds into ${where}, or use method oauth with: gcloud auth application-default login`
  }
}

/** Which role gives a permission, as infra/ grants them, and the command that does. */
function whatToGrant(message: string, settings: BigquerySettings): string {
  const permission = /bigquery\.[\w.]+/.exec(message)?.[0] ?? ''
  const { project, executionProject } = settings
  const member = memberOf(settings)
  if (/storage\./.test(message)) return `Grant ${member} roles/storage.objectUser on the staging bucket (infra/ does)`
  const [, dataset = settings.dataset] = /(?:dataset|table) [\w-]+[:.](\w+)/i.exec(message) ?? []
  if (permission === 'bigquery.datasets.create') return howToCreate(dataset, settings)
  if (permission.startsWith('bigquery.jobs.') || /serviceusage/.test(message)) {
    const role = permission === 'bigquery.jobs.list' ? 'user' : 'jobUser'
    return (
      `Grant it (infra/ does): gcloud projects add-iam-policy-binding ${executionProject} --member=${member} ` +
      `--role=roles/bigquery.${role}`
    )
  }
  const reading = ['bigquery.tables.getData', 'bigquery.tables.get', 'bigquery.datasets.get'].includes(permission)
  const role = reading ? 'dataViewer' : 'dataEditor'
  return `Grant it (infra/ does): ${bqQuery(`GRANT \\\`roles/bigquery.${role}\\\` ON SCHEMA \\\`${project}\\\`.${dataset} TO '${member}'`)}`
}

/** Whom to grant something, as IAM writes it. */
function memberOf({ auth: { impersonate, credentials } }: BigquerySettings): string {
  const account = impersonate ?? (credentials.kind === 'key' ? credentials.key.client_email : undefined)
  return account === undefined ? 'user:<the account of this target>' : `serviceAccount:${account}`
}

/** For a shell: what is a backtick in SQL has a backslash before it. */
function bqQuery(sql: string): string {
  return `bq query --use_legacy_sql=false "${sql}"`
}

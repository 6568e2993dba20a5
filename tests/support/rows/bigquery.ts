// What a BigQuery project holds, read by its REST interface without any client.
import type { BigQueryProject } from '../bigquery-emulator.ts'
import { plainValue, type PlainKind, type PlainRow } from './plain.ts'

interface Answer {
  readonly schema?: { readonly fields: readonly { readonly name: string; readonly type: string }[] }
  readonly rows?: readonly { readonly f: readonly { readonly v: string | null }[] }[]
  /** The emulator tells a failed query so. */
  readonly errors?: readonly { readonly message: string }[]
}

const KINDS: Readonly<Record<string, PlainKind>> = {
  INTEGER: 'integer',
  FLOAT: 'float',
  NUMERIC: 'decimal',
  BIGNUMERIC: 'decimal',
  BOOLEAN: 'boolean',
  DATE: 'time',
  TIME: 'time',
  DATETIME: 'time',
  TIMESTAMP: 'microseconds',
}

/** Rows of a query as plain values. */
export async function bigqueryRows(place: BigQueryProject, query: string): Promise<PlainRow[]> {
  const formatOptions = { useInt64Timestamp: true }
  const answer = (await askBigquery(place, 'POST', '/queries', { query, useLegacySql: false, formatOptions })) as Answer
  if (answer.errors !== undefined)
    throw new Error(`${query}: ${answer.errors.map(({ message }) => message).join('; ')}`)
  const fields = answer.schema?.fields ?? []
  return (answer.rows ?? []).map(({ f }) =>
    Object.fromEntries(
      fields.map(({ name, type }, index) => [name, plainValue(KINDS[type] ?? 'text', f[index]?.v ?? null)]),
    ),
  )
}

/** BigQuery's own REST interface; what is not there is empty. */
export async function askBigquery(
  place: BigQueryProject,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const answer = await fetch(`${place.apiEndpoint}/bigquery/v2/projects/${place.project}${path}`, {
    method,
    headers: { 'content-type': 'application/json', authorization: 'Bearer any' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (answer.status === 404) return {}
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  return await answer.json()
}

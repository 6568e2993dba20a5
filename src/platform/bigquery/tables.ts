// Datasets and tables: what is there, and making and dropping what is ours.
import type { Dataset, Field, Table } from './rest.ts'
import type { Api } from './api.ts'
import { hasStatus } from './error.ts'
import { count } from './query.ts'

export interface TablePath {
  readonly project: string
  readonly dataset: string
  readonly table: string
}

export interface TableInfo {
  /** `TABLE`, `VIEW`, `MATERIALIZED_VIEW`, `EXTERNAL`, … */
  readonly kind: string
  readonly columns: readonly Field[]
  readonly rows: number
  readonly layout: TableLayout
}

/** How rows lie: what makes reading a part of them cheap. */
export interface TableLayout {
  /** One partition for each day (or hour, month, year) of a column. */
  readonly partitions?: { readonly by: string; readonly type: string } | undefined
  /** At most four columns. */
  readonly clusterBy?: readonly string[] | undefined
}

export interface NewTable {
  readonly columns: readonly Field[]
  readonly layout?: TableLayout
  readonly expiresAt?: Date
}

type Missing = undefined

/** Where a dataset's data lie, as BigQuery writes it (`EU`, `europe-west9`). */
export async function datasetLocation(api: Api, project: string, dataset: string): Promise<string | Missing> {
  const found = await unlessMissing(api.call<Dataset>({ method: 'GET', path: `/datasets/${dataset}`, project }))
  return found === undefined ? undefined : (found.location ?? '')
}

/** Creates it where it is missing. */
export async function createDataset(
  api: Api,
  project: string,
  dataset: string,
  location: string | undefined,
): Promise<void> {
  const body: Dataset = {
    datasetReference: { projectId: project, datasetId: dataset },
    ...(location === undefined ? {} : { location }),
  }
  await unlessThere(api.call({ method: 'POST', path: '/datasets', project, body }))
}

export async function describeTable(api: Api, { project, dataset, table }: TablePath): Promise<TableInfo | Missing> {
  const found = await unlessMissing(
    api.call<Table>({ method: 'GET', path: `/datasets/${dataset}/tables/${table}`, project }),
  )
  if (found === undefined) return undefined
  return {
    kind: found.type ?? 'TABLE',
    columns: found.schema?.fields ?? [],
    rows: count(found.numRows),
    layout: layoutOf(found),
  }
}

function layoutOf({ timePartitioning, clustering }: Table): TableLayout {
  const { field, type } = timePartitioning ?? {}
  return {
    partitions: field === undefined || type === undefined ? undefined : { by: field, type },
    clusterBy: clustering?.fields,
  }
}

/** Creates it where it is missing; one that is there stays as it is. */
export async function createTable(api: Api, { project, dataset, table }: TablePath, made: NewTable): Promise<void> {
  const { partitions, clusterBy = [] } = made.layout ?? {}
  const body: Table = {
    tableReference: { projectId: project, datasetId: dataset, tableId: table },
    schema: { fields: [...made.columns] },
    ...(partitions === undefined ? {} : { timePartitioning: { type: partitions.type, field: partitions.by } }),
    ...(clusterBy.length === 0 ? {} : { clustering: { fields: [...clusterBy] } }),
    ...(made.expiresAt === undefined ? {} : { expirationTime: String(made.expiresAt.getTime()) }),
  }
  await unlessThere(api.call({ method: 'POST', path: `/datasets/${dataset}/tables`, project, body }))
}

/** BigQuery drops it then by itself. */
export async function expireTable(api: Api, { project, dataset, table }: TablePath, at: Date): Promise<void> {
  const body: Table = { expirationTime: String(at.getTime()) }
  await api.call({ method: 'PATCH', path: `/datasets/${dataset}/tables/${table}`, project, body })
}

/** Drops it; one that is not there is dropped already. Is done even after an abort. */
export async function dropTable(api: Api, { project, dataset, table }: TablePath): Promise<void> {
  await unlessMissing(
    api.call({ method: 'DELETE', path: `/datasets/${dataset}/tables/${table}`, project, always: true }),
  )
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | Missing> {
  try {
    return await work
  } catch (error) {
    if (hasStatus(error, 404)) return undefined
    throw error
  }
}

async function unlessThere(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!hasStatus(error, 409)) throw error
  }
}

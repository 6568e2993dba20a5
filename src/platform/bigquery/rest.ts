// The resources of BigQuery's REST API, as its own client describes them.
import type rest from '@google-cloud/bigquery/build/src/types.d.ts'

// The client's package is CommonJS: what it calls its default export stands behind `default` here.
export type Dataset = rest.default.IDataset
export type Field = rest.default.ITableFieldSchema
export type Job = rest.default.IJob
export type JobConfiguration = rest.default.IJobConfiguration
export type JobList = rest.default.IJobList
export type JobReference = rest.default.IJobReference
export type QueryParameter = rest.default.IQueryParameter
export type QueryRequest = rest.default.IQueryRequest
export type QueryResponse = rest.default.IQueryResponse
export type QueryResults = rest.default.IGetQueryResultsResponse
export type Table = rest.default.ITable
export type TableReference = rest.default.ITableReference

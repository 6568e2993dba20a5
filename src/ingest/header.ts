// A file's header against the contract: by name, whatever the order.
import type { ContractColumn, IngestEntry } from '../pipeline/plan.ts'
import { failure } from '../pipeline/failure.ts'
import { didYouMean } from '../pipeline/near-match.ts'
import { contractOfHeader } from './contract.ts'
import type { TypedColumn } from './typing.ts'

/**
 * Where in the file each column of the contract is; with `evolve`, behind them the columns that only the file has. Each
 * name must stand there once. Fails with HeaderMismatch, naming all that differs at once.
 */
export function matchHeader(
  header: readonly string[],
  contract: readonly ContractColumn[],
  extraColumns: IngestEntry['extraColumns'],
  file: string,
): TypedColumn[] {
  const wanted = contract.map((column) => column.header)
  const missing = contract.filter((column) => !column.optional && !header.includes(column.header))
  const extra = header.filter((name) => !wanted.includes(name))
  const doubled = header.filter((name, index) => header.indexOf(name) !== index)
  const near = missing.map((column) => column.header)
  // A column that is missing here and unknown there was renamed, which no policy covers.
  const unknown = extraColumns === 'strict' || near.length > 0 ? extra : []
  const problems = new Set([
    ...near.map((name) => `column '${name}' is missing`),
    ...unknown.map((name) => `column '${name}' is not expected${didYouMean(name, near)}`),
    ...doubled.map((name) => `column '${name}' stands there twice`),
  ])
  if (problems.size > 0) {
    throw failure(
      'HeaderMismatch',
      `${file}: ${[...problems].join('; ')}. Nothing was loaded; correct the file's header, or the declared columns`,
    )
  }
  const evolved = extraColumns === 'evolve' ? contractOfHeader(extra, file) : []
  return [...contract, ...evolved.map((column) => ({ ...column, optional: true }))].map((column) => {
    const field = header.indexOf(column.header)
    return { ...column, field: field === -1 ? undefined : field }
  })
}

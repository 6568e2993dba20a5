// A file's header against the contract: by name, whatever the order.
import type { ContractColumn } from '../pipeline/plan.ts'
import { failure } from '../pipeline/failure.ts'
import { didYouMean } from '../pipeline/near-match.ts'

/**
 * Holds the header to the contract: the same names, each once, in any order. Fails with HeaderMismatch, naming all that
 * differs at once.
 */
export function checkHeader(header: readonly string[], contract: readonly ContractColumn[], file: string): void {
  const wanted: string[] = contract.map(({ name }) => name)
  const missing = wanted.filter((name) => !header.includes(name))
  const unknown = header.filter((name) => !wanted.includes(name))
  const doubled = header.filter((name, index) => header.indexOf(name) !== index)
  const problems = new Set([
    ...missing.map((name) => `column '${name}' is missing`),
    ...unknown.map((name) => `column '${name}' is not expected${didYouMean(name, missing)}`),
    ...doubled.map((name) => `column '${name}' stands there twice`),
  ])
  if (problems.size === 0) return
  throw failure(
    'HeaderMismatch',
    `${file}: ${[...problems].join('; ')}. Nothing was loaded; correct the file's header, or the columns of the dbt source`,
  )
}

// The contract of src/warehouses/warehouse.ts: what every adapter promises, tried on the real thing.
import { describe, test } from 'vitest'
import { withHarness, type PromiseOf, type WarehouseSite } from './harness.ts'
import { loads } from './promises/loads.ts'
import { marts } from './promises/marts.ts'
import { modes } from './promises/modes.ts'
import { ownTables } from './promises/own-tables.ts'
import { publishing } from './promises/publishing.ts'
import { rawTables } from './promises/raw-tables.ts'
import { rejects } from './promises/rejects.ts'
import { unfinishedLoads } from './promises/unfinished-loads.ts'
import { upserts } from './promises/upserts.ts'
import { values } from './promises/values.ts'

/** A warehouse that is held to the contract. */
export interface ContractSubject {
  readonly name: string
  /** A warehouse that nobody else uses; `folder` is the test's own, and gone after it. */
  readonly makeSite: (folder: string) => Promise<WarehouseSite>
  /** Promises that cannot be tried there, by their name, and why. */
  readonly exceptions: Readonly<Record<string, string>>
}

const SECTIONS: Readonly<Record<string, (promise: PromiseOf) => void>> = {
  'a load': loads,
  'a load that is not finished': unfinishedLoads,
  rejects,
  'append and snapshot': modes,
  upsert: upserts,
  'a raw table': rawTables,
  values,
  'a mart': marts,
  publishing,
  "Millrace's own tables": ownTables,
}

export function warehouseContract({ name, makeSite, exceptions }: ContractSubject): void {
  requirePromises(Object.keys(exceptions))
  const promise: PromiseOf = (title, keep) => {
    const reason = exceptions[title]
    const declare = reason === undefined ? test : test.skip
    declare(reason === undefined ? title : `${title} [not tried here: ${reason}]`, () => withHarness(makeSite, keep))
  }
  describe(`the contract on ${name}:`, () => {
    for (const [section, promises] of Object.entries(SECTIONS)) {
      describe(`${section}:`, () => {
        promises(promise)
      })
    }
  })
}

/** An exception outlives no promise. */
function requirePromises(titles: readonly string[]): void {
  const made = new Set<string>()
  for (const promises of Object.values(SECTIONS)) promises((title) => made.add(title))
  const unknown = titles.filter((title) => !made.has(title))
  if (unknown.length > 0) throw new Error(`exceptions from promises that nobody makes: ${unknown.join('; ')}`)
}

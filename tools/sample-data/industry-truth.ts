// What the marts of phase 2 must hold, counted from what the generator knows: no SQL and no parser has a part in it.
import type { Allocation, Indemnity, Invoice, JobReport } from './industry-facts.ts'
import { dayMs, startOf } from './time.ts'

/** Sorted by their keys. Land and money as numbers with two digits. */
export type MartRows = readonly Readonly<Record<string, string | number>>[]

export function monthlyMarts(facts: {
  readonly allocations: readonly Allocation[]
  readonly indemnities: readonly Indemnity[]
  readonly jobs: readonly JobReport[]
}): Record<string, MartRows> {
  const { allocations, indemnities, jobs } = facts
  return {
    mart_implantation_suivi: byMonth(
      allocations,
      ({ zone, on }) => [zone.id, on],
      (rows) => ({
        implantations: rows.length,
        implantations_actives: rows.filter(({ status }) => status === 'active').length,
        entreprises: new Set(rows.map(({ company }) => company.id)).size,
        surface_ha: total(rows, ({ land }) => land) / 100,
        investissement: total(rows, ({ investment }) => investment) / 100,
      }),
    ),
    mart_indemnisations: byMonth(
      indemnities,
      ({ allocation, askedOn }) => [allocation.zone.id, askedOn],
      (rows) => ({
        demandes: rows.length,
        demandes_payees: rows.filter(({ paidOn }) => paidOn !== null).length,
        montant_demande: total(rows, ({ amount }) => amount) / 100,
        montant_paye: total(rows, ({ amount, paidOn }) => (paidOn === null ? 0 : amount)) / 100,
      }),
    ),
    mart_emplois_crees: byMonth(
      jobs,
      ({ allocation, on }) => [allocation.zone.id, on],
      (rows) => ({
        declarations: rows.length,
        emplois_crees: total(rows, (report) => report.jobs),
        emplois_femmes: total(rows, ({ women }) => women),
      }),
    ),
  }
}

/** What is still owed on `asOf`, by how long it is overdue and by the company's risk. */
export function agedReceivables(invoices: readonly Invoice[], asOf: string): MartRows {
  const open = invoices.filter(({ amount, paid }) => paid < amount)
  const groups = Map.groupBy(open, ({ dueOn, allocation }) => `${bracket(dueOn, asOf)}|${allocation.company.risk}`)
  return [...groups]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, rows]) => {
      const [age = '', risk = ''] = key.split('|')
      return {
        tranche_anciennete: age,
        niveau_risque: risk,
        factures: rows.length,
        entreprises: new Set(rows.map(({ allocation }) => allocation.company.id)).size,
        montant_du: total(rows, ({ amount, paid }) => amount - paid) / 100,
      }
    })
}

function bracket(dueOn: string, asOf: string): string {
  const days = (startOf(asOf) - startOf(dueOn)) / dayMs
  if (days <= 0) return '0 non echu'
  if (days <= 30) return '1 a 30 jours'
  if (days <= 60) return '31 a 60 jours'
  return days <= 90 ? '61 a 90 jours' : 'plus de 90 jours'
}

function byMonth<Item>(
  items: readonly Item[],
  place: (item: Item) => readonly [zone: string, day: string],
  measures: (rows: readonly Item[]) => Record<string, number>,
): MartRows {
  const groups = Map.groupBy(items, (item) => {
    const [zone, day] = place(item)
    return `${zone}-${day.slice(0, 7)}`
  })
  return [...groups]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, rows]) => {
      const [zone = '', year, month] = key.split('-')
      return { zone_id: zone, annee: Number(year), mois: Number(month), ...measures(rows) }
    })
}

function total<Item>(rows: readonly Item[], value: (row: Item) => number): number {
  return rows.reduce((sum, row) => sum + value(row), 0)
}

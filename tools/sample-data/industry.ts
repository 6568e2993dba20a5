// Industrial zones and what happens in them: companies, allocations of land, indemnities, jobs and invoices, the same on every machine.
import { encodeRecord, type Field } from './csv.ts'
import type { Allocation, Company, Indemnity, Invoice, JobReport, Zone } from './industry-facts.ts'
import { agedReceivables, monthlyMarts, type MartRows } from './industry-truth.ts'
import { between, chance, createRandom, pick } from './random.ts'
import { dateOf, dayMs, startOf } from './time.ts'

/** Each day's file holds the invoices that are new or were paid since the day before; the first one holds all. */
const INVOICE_DAYS = ['2026-11-17', '2026-11-18'] as const
const FIRST_DAY = '2025-01-01'
const NAMES = ['Tanger', 'Kénitra', 'Nouaceur', 'Settat', 'Fès', 'Oujda', 'Agadir', 'Safi']
const REGIONS = ['Nord', 'Nord', 'Centre', 'Centre', 'Est', 'Est', 'Sud', 'Sud']
const SECTORS = ['automobile', 'textile', 'agroalimentaire', 'chimie', 'logistique']

export type IndustryTruth = {
  readonly marts: Readonly<Record<string, MartRows>>
  /** By the day whose file was loaded last. */
  readonly mart_creances_agees: Readonly<Record<string, MartRows>>
}

/** Text by path, and what must come out of it. */
export function industryData(): { readonly files: Readonly<Record<string, string>>; readonly truth: IndustryTruth } {
  const random = createRandom('industry')
  const someDay = (from: string, days: number) => dateOf(startOf(from) + between(random, 0, days) * dayMs)
  const zones = NAMES.map((name, index) => ({
    id: `Z${index + 1}`,
    name: `Zone de ${name}`,
    region: REGIONS[index] ?? '',
  }))
  const companies = Array.from({ length: 80 }, (_, index) => ({
    id: `E${String(index + 1).padStart(3, '0')}`,
    name: index % 9 === 0 ? `Société "${index}", Frères & Cie` : `Société ${index}`,
    sector: pick(random, SECTORS),
    risk: pick(random, ['faible', 'faible', 'moyen', 'eleve']),
  }))
  const allocations = Array.from({ length: 200 }, (_, index) => ({
    id: `A${String(index + 1).padStart(4, '0')}`,
    zone: pick(random, zones),
    company: pick(random, companies),
    on: someDay(FIRST_DAY, 640),
    land: between(random, 10, 2500),
    investment: between(random, 50_000, 90_000_000) * 100,
    status: pick(random, ['active', 'active', 'active', 'suspendue', 'retiree']),
  }))
  const indemnities = Array.from({ length: 260 }, (_, index) => {
    const askedOn = someDay('2025-03-01', 600)
    const paidOn = chance(random, 0.7) ? someDay(askedOn, 90) : null
    return {
      id: `I${index + 1}`,
      allocation: pick(random, allocations),
      askedOn,
      paidOn,
      amount: between(random, 500, 4_000_000) * 50,
    }
  })
  const jobs = Array.from({ length: 320 }, (_, index) => {
    const created = between(random, 0, 120)
    const women = between(random, 0, created)
    return {
      id: `D${index + 1}`,
      allocation: pick(random, allocations),
      on: someDay('2025-02-01', 640),
      jobs: created,
      women,
    }
  })
  const first = Array.from({ length: 300 }, (_, index) =>
    invoice(random, index, allocations, someDay('2026-05-01', 190)),
  )
  const paidSince = first
    .filter(({ paid, amount }) => paid < amount && chance(random, 0.3))
    .map((old) => ({ ...old, paid: old.amount, changedAt: '2026-11-18 09:30:00' }))
  const added = Array.from({ length: 25 }, (_, index) => invoice(random, 300 + index, allocations, '2026-11-18'))
  const days = { [INVOICE_DAYS[0]]: first, [INVOICE_DAYS[1]]: [...paidSince, ...added] }
  const paidIds = new Set(paidSince.map(({ id }) => id))
  const second = [...first.filter(({ id }) => !paidIds.has(id)), ...paidSince, ...added]
  return {
    files: {
      ...files({ zones, companies, allocations, indemnities, jobs }),
      ...Object.fromEntries(
        Object.entries(days).map(([day, rows]) => [`${FOLDER}/factures-${day}.csv`, invoiceFile(rows)]),
      ),
    },
    truth: {
      marts: monthlyMarts({ allocations, indemnities, jobs }),
      mart_creances_agees: {
        [INVOICE_DAYS[0]]: agedReceivables(first, INVOICE_DAYS[0]),
        [INVOICE_DAYS[1]]: agedReceivables(second, INVOICE_DAYS[1]),
      },
    },
  }
}

const FOLDER = 'data/dwh-sig'

function invoice(random: () => number, index: number, allocations: readonly Allocation[], on: string): Invoice {
  const amount = between(random, 20_000, 9_000_000)
  const paid = chance(random, 0.5) ? amount : chance(random, 0.3) ? between(random, 1, amount - 1) : 0
  return {
    id: `F${String(index + 1).padStart(5, '0')}`,
    allocation: pick(random, allocations),
    on,
    dueOn: dateOf(startOf(on) + pick(random, [0, 30, 60]) * dayMs),
    amount,
    paid: on === '2026-11-18' ? 0 : paid,
    changedAt: `${on} 08:00:00`,
  }
}

type Tables = {
  readonly zones: readonly Zone[]
  readonly companies: readonly Company[]
  readonly allocations: readonly Allocation[]
  readonly indemnities: readonly Indemnity[]
  readonly jobs: readonly JobReport[]
}

function files({ zones, companies, allocations, indemnities, jobs }: Tables): Record<string, string> {
  return {
    [`${FOLDER}/zones.csv`]: table('zone_id,nom,region', zones, ({ id, name, region }) => [id, name, region]),
    [`${FOLDER}/entreprises.csv`]: table(
      'entreprise_id,raison_sociale,secteur,niveau_risque',
      companies,
      ({ id, name, sector, risk }) => [id, name, sector, risk],
    ),
    [`${FOLDER}/attributions.csv`]: table(
      'attribution_id,zone_id,entreprise_id,attribuee_le,surface_ha,investissement,statut',
      allocations,
      ({ id, zone, company, on, land, investment, status }) => [
        id,
        zone.id,
        company.id,
        on,
        decimal(land),
        decimal(investment),
        status,
      ],
    ),
    [`${FOLDER}/indemnisations.csv`]: table(
      'indemnisation_id,attribution_id,demandee_le,payee_le,montant',
      indemnities,
      ({ id, allocation, askedOn, paidOn, amount }) => [id, allocation.id, askedOn, paidOn, decimal(amount)],
    ),
    [`${FOLDER}/emplois.csv`]: table(
      'declaration_id,attribution_id,declaree_le,emplois_crees,emplois_femmes',
      jobs,
      (report) => [report.id, report.allocation.id, report.on, String(report.jobs), String(report.women)],
    ),
  }
}

function invoiceFile(rows: readonly Invoice[]): string {
  return table(
    'facture_id,attribution_id,emise_le,echeance_le,montant,montant_regle,modifiee_le',
    rows,
    ({ id, allocation, on, dueOn, amount, paid, changedAt }) => [
      id,
      allocation.id,
      on,
      dueOn,
      decimal(amount),
      decimal(paid),
      changedAt,
    ],
  )
}

function table<Row>(header: string, rows: readonly Row[], fields: (row: Row) => readonly Field[]): string {
  return `${[header, ...rows.map((row) => encodeRecord(fields(row)))].join('\n')}\n`
}

/** 1234 → `12.34`. */
function decimal(hundredths: number): string {
  return (hundredths / 100).toFixed(2)
}

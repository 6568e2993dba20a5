// From what happened to the text of each day's export, and to what is true of it without having to parse it.
import { encodeRecord, type Field } from './csv.ts'
import { damagedLine, type Damage, type DamageKind } from './damage.ts'
import type { Export } from './exports.ts'
import { between, createRandom } from './random.ts'
import { dateOf } from './time.ts'

type Row<Item> = { readonly item: Item; readonly fields: readonly Field[] }
type BrokenRecord = { readonly record: number; readonly kind: DamageKind; readonly column?: string }

export type FileTruth = {
  readonly records: number // without the header line
  readonly broken: readonly BrokenRecord[] // record 1 is the first one after the header line
  readonly late: number // of the records that are not broken, as are the next two: happened on a day before the file's
  readonly nulls: Readonly<Record<string, number>> // by column
  readonly emptyTexts: Readonly<Record<string, number>> // by column
}

export type DayFile<Item> = {
  readonly date: string
  readonly path: string
  readonly text: string
  readonly truth: FileTruth
  readonly good: readonly Item[]
}

/** A file a day, each with the items that arrived on that day, in the order of their arrival. */
export function dayFiles<Item extends { readonly arrivedAt: number }>(
  source: Export<Item>,
  items: readonly Item[],
  dates: readonly string[],
): DayFile<Item>[] {
  const rows = items
    .toSorted((left, right) => left.arrivedAt - right.arrivedAt)
    .map((item, position) => ({ item, fields: Object.values(source.columns).map((write) => write(item, position)) }))
  return dates.map((date) =>
    dayFile(
      source,
      date,
      rows.filter(({ item }) => dateOf(item.arrivedAt) === date),
    ),
  )
}

function dayFile<Item>(source: Export<Item>, date: string, rows: readonly Row<Item>[]): DayFile<Item> {
  const columns = Object.keys(source.columns)
  const damage = placeDamage(createRandom(`damage ${source.name} ${date}`), columns, rows, source.damage[date] ?? [])
  const lines = rows.map(({ fields }, index) => {
    const damaged = damage.get(index)
    return damaged === undefined ? encodeRecord(fields) : damagedLine(columns, fields, damaged)
  })
  const good = rows.filter((_, index) => !damage.has(index))
  return {
    date,
    path: `data/inbox/${source.name}-${date}.csv`,
    text: `${[columns.join(','), ...lines].join('\n')}\n`,
    good: good.map(({ item }) => item),
    truth: {
      records: rows.length,
      broken: [...damage]
        .map(([index, damaged]) => brokenRecord(index, damaged))
        .toSorted((a, b) => a.record - b.record),
      late: good.filter(({ item }) => dateOf(source.happenedAt(item)) < date).length,
      nulls: countByColumn(columns, good, null),
      emptyTexts: countByColumn(columns, good, ''),
    },
  }
}

/** Chooses a row for each damage: one line long, not yet damaged, and with something in the column that the damage is about. */
function placeDamage<Item>(
  random: () => number,
  columns: readonly string[],
  rows: readonly Row<Item>[],
  damages: readonly Damage[],
): Map<number, Damage> {
  const placed = new Map<number, Damage>()
  for (const damage of damages) {
    const column = 'column' in damage ? columns.indexOf(damage.column) : 0
    const fits = ({ fields }: Row<Item>): boolean =>
      (fields[column] ?? null) !== null && fields.every((field) => !field?.includes('\n'))
    const candidates = rows.flatMap((row, index) => (fits(row) && !placed.has(index) ? [index] : []))
    const chosen = candidates[between(random, 0, candidates.length - 1)]
    if (chosen === undefined) throw new Error(`no record can be damaged by ${JSON.stringify(damage)}`)
    placed.set(chosen, damage)
  }
  return placed
}

function brokenRecord(index: number, damage: Damage): BrokenRecord {
  const record = index + 1
  return 'column' in damage ? { record, kind: damage.kind, column: damage.column } : { record, kind: damage.kind }
}

/** How many rows hold exactly this in a column; columns where none does are left out. */
function countByColumn<Item>(
  columns: readonly string[],
  rows: readonly Row<Item>[],
  value: Field,
): Record<string, number> {
  const counts = columns.map(
    (column, index) => [column, rows.filter(({ fields }) => fields[index] === value).length] as const,
  )
  return Object.fromEntries(counts.filter(([, count]) => count > 0))
}

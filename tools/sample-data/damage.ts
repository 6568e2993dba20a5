// The few records of an export that a strict loader must reject: real kinds of damage, one at a time, none of which swallows a neighbour.
import { encodeField, encodeRecord, type Field } from './csv.ts'

export type DamageKind =
  | 'too-few-fields'
  | 'too-many-fields'
  | 'not-an-integer'
  | 'not-a-number'
  | 'impossible-timestamp'
  | 'bare-quote'

export type Damage =
  | { readonly kind: 'too-few-fields'; readonly keep: number }
  | { readonly kind: Exclude<DamageKind, 'too-few-fields'>; readonly column: string; readonly text: string }

/** The record as one damaged line. For all but too-few-fields the text stands unquoted in the file, in the place of one field. */
export function damagedLine(columns: readonly string[], fields: readonly Field[], damage: Damage): string {
  if (damage.kind === 'too-few-fields') return encodeRecord(fields.slice(0, damage.keep))
  return fields.map((field, index) => (columns[index] === damage.column ? damage.text : encodeField(field))).join(',')
}

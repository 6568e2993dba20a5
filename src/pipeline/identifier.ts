// Names of tables, columns and schemas: only what every warehouse takes unquoted and in one case.

declare const identifierBrand: unique symbol

/** A lower-case SQL name, 1–63 characters of [a-z0-9_], not starting with a digit (Postgres's length limit). */
export type Identifier = string & { readonly [identifierBrand]: true }

/** A raw table as pipeline files write it: `schema.table`. */
export interface TableName {
  readonly schema: Identifier
  readonly table: Identifier
}

const PATTERN = /^[a-z_][a-z0-9_]{0,62}$/

export function isIdentifier(text: string): text is Identifier {
  return PATTERN.test(text)
}

/** Throws a plain Error; callers that take user input check with isIdentifier first. */
export function identifier(text: string): Identifier {
  if (!isIdentifier(text)) throw new Error(`'${text}' is not a name of lower-case letters, digits and _`)
  return text
}

/** `raw.viewing_logs` → its two parts, or undefined when it is not of that form. */
export function parseTableName(text: string): TableName | undefined {
  const [schema = '', table = '', ...rest] = text.split('.')
  return rest.length === 0 && isIdentifier(schema) && isIdentifier(table) ? { schema, table } : undefined
}

export function tableText(name: TableName): string {
  return `${name.schema}.${name.table}`
}

// What a Postgres database holds, read by the driver itself.
import { types, type Client } from 'pg'
import { plainValue, type PlainKind, type PlainRow } from './plain.ts'

const KINDS: Readonly<Record<number, PlainKind>> = {
  [types.builtins.INT2]: 'integer',
  [types.builtins.INT4]: 'integer',
  [types.builtins.INT8]: 'integer',
  [types.builtins.FLOAT4]: 'float',
  [types.builtins.FLOAT8]: 'float',
  [types.builtins.NUMERIC]: 'decimal',
  [types.builtins.BOOL]: 'boolean',
  [types.builtins.DATE]: 'time',
  [types.builtins.TIME]: 'time',
  [types.builtins.TIMESTAMP]: 'time',
  [types.builtins.TIMESTAMPTZ]: 'time',
}

/** Rows of a query as plain values, from the texts that the server writes. The client speaks UTC. */
export async function postgresRows(client: Client, text: string): Promise<PlainRow[]> {
  const asText = { getTypeParser: () => String }
  const result = await client.query<(string | null)[]>({ text, rowMode: 'array', types: asText })
  return result.rows.map((row) =>
    Object.fromEntries(
      result.fields.map(({ name, dataTypeID }, index) => [
        name,
        plainValue(KINDS[dataTypeID] ?? 'text', row[index] ?? null),
      ]),
    ),
  )
}

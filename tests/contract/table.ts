// The contract's result as a table, promise × warehouse, from vitest's JSON:
// `vitest run tests/contract --reporter=json --outputFile=contract.json; node tests/contract/table.ts contract.json`
import { readFile } from 'node:fs/promises'

export interface VitestResults {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[]
      readonly title: string
      readonly status: string
    }[]
  }[]
}

const CELLS: Readonly<Record<string, string>> = { passed: 'kept', failed: 'BROKEN' }
const NOT_TRIED = / \[not tried here: (.*)\]$/

/** Markdown; a reason why a promise is not tried stands below as a note. */
export function contractTable({ testResults }: VitestResults): string {
  const warehouses: string[] = []
  const notes: string[] = []
  const sections = new Map<string, Map<string, Map<string, string>>>()
  for (const { ancestorTitles, title, status } of testResults.flatMap((file) => file.assertionResults)) {
    const [suite = '', section = ''] = ancestorTitles
    const warehouse = /^the contract on (.*):$/.exec(suite)?.[1]
    if (warehouse === undefined) continue
    if (!warehouses.includes(warehouse)) warehouses.push(warehouse)
    const reason = NOT_TRIED.exec(title)?.[1]
    if (reason !== undefined) notes.push(`${warehouse}: ${reason}`)
    const promises = within(sections, section)
    const cells = within(promises, title.replace(NOT_TRIED, ''))
    cells.set(warehouse, reason === undefined ? (CELLS[status] ?? status) : `(${notes.length})`)
  }
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const rows = [...sections].flatMap(([section, promises]) => [
    line([`**${section.replace(/:$/, '')}**`, ...warehouses.map(() => '')]),
    ...[...promises].map(([promise, cells]) => line([promise, ...warehouses.map((name) => cells.get(name) ?? '')])),
  ])
  const head = [line(['promise', ...warehouses]), line(['---', ...warehouses.map(() => '---')])]
  return [...head, ...rows, '', ...notes.map((note, index) => `(${index + 1}) ${note}`), ''].join('\n')
}

function within<V>(map: Map<string, Map<string, V>>, key: string): Map<string, V> {
  const found = map.get(key) ?? new Map<string, V>()
  map.set(key, found)
  return found
}

if (import.meta.main) {
  const [, , file] = process.argv
  if (file === undefined) throw new Error("which file has vitest's results? node tests/contract/table.ts contract.json")
  const results = JSON.parse(await readFile(file, 'utf8')) as VitestResults // what vitest's JSON reporter wrote
  process.stdout.write(contractTable(results))
}

// What the warm process and its forks leave out of dbt's work does not change what comes of it.
import path from 'node:path'
import { execa } from 'execa'
import { array, constantFrom, sample } from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { INSTALLATION } from '../../src/platform/workspace.ts'

const CHANGES = ['src/dbt/lean.py', 'src/dbt/warm_code.py']

const STATEMENTS = [
  'select 1',
  'with a as (select 1) select * from a',
  'WITH RECURSIVE a as (select 1) select * from a',
  'with recursive , a',
  '\n-- of ours\nwith a as (select 1), b as (select 2) select * from a, b',
  '/* with */ select 1',
  'select * from (with a as (select 1) select * from a) as b',
  "select cast('2026-11-17' as timestamp with time zone)",
  'create table t as with a as (select 1) select * from a',
  '(select 1) union (with a as (select 1) select * from a)',
  'select 1; with a as (select 1) select * from a',
  '',
  '  ',
]
const WORDS =
  'with|WITH|recursive|select|from|create table|a|\'with\'|"with"|1|(|)|,|;|as|-- c\n|/* c */| |\n|with time zone|union|values'

interface Looked {
  readonly ctes: readonly string[]
  readonly types: unknown
  readonly events: readonly [readonly { readonly info: { readonly name: string; readonly level: string } }[], string]
  readonly macros: unknown
  readonly havePlace: readonly boolean[]
  readonly flagSource: string
  readonly methods: readonly [said: readonly (readonly string[])[], compiled: number]
}

let dbt: Looked
let lean: Looked
let statements: readonly string[]

beforeAll(async () => {
  const words = array(constantFrom(...WORDS.split('|')), { minLength: 1, maxLength: 12 })
  statements = [...STATEMENTS, ...sample(words, 1_500).map((parts) => parts.join(' '))]
  const { stdout } = await execa(
    INSTALLATION.python,
    [path.join(import.meta.dirname, 'lean_probe.py'), ...CHANGES.map((file) => path.join(INSTALLATION.root, file))],
    { input: JSON.stringify({ statements, unread: ['NewConnection'] }), cwd: import.meta.dirname },
  )
  ;({ dbt, lean } = JSON.parse(stdout) as { dbt: Looked; lean: Looked })
})

test('CTEs are put where dbt puts them, whatever the statement is', () => {
  expect(statements.map((sql, index) => [sql, lean.ctes[index]])).toEqual(
    statements.map((sql, index) => [sql, dbt.ctes[index]]),
  )
})

test("columns of an answer have dbt's types and values, the second time too", () => {
  expect(lean.types).toEqual(dbt.types)
})

test('an event that nobody reads is left out at debug level alone; all others are told with the same words', () => {
  const [heard, message] = dbt.events
  expect(heard.map(({ info: { name, level } }) => [name, level])).toEqual([
    ['SQLQuery', 'debug'],
    ['NewConnection', 'debug'],
    ['NewConnection', 'warn'],
  ])
  const isRead = ({ info: { name, level } }: (typeof heard)[number]) => name !== 'NewConnection' || level !== 'debug'
  expect(lean.events).toEqual([heard.filter(isRead), message])
})

test('a macro looks its names up in each call, and is found in the package that was asked for', () => {
  expect(dbt.macros).toEqual([
    ['x one', 'x one!', 'x two', 'x two!'],
    ['ours', 'of p', 'ours', 'of p'],
    ['CompilationError', 'CompilationError', 'TypeError'],
  ])
  expect(lean.macros).toEqual(dbt.macros)
})

test('a node has a place in the project where its type has, the second time too', () => {
  expect(dbt.havePlace).toEqual([true, false, true, false])
  expect(lean.havePlace).toEqual(dbt.havePlace)
})

test('a behavior flag names the module that asks for it', () => {
  expect(lean.flagSource).toBe(dbt.flagSource)
})

test('a class that writes its methods on demand reads and writes the same, the second time too; for the class alone nothing is compiled', () => {
  const [[first, second], compiled] = dbt.methods
  expect(first?.slice(0, 2)).toEqual([
    expect.stringContaining('items=[') as unknown,
    "{'inner': {'n': 1, 's': None}, 'items': [{'n': 2, 's': 'x'}]}",
  ])
  expect(second).toEqual(first)
  expect(compiled).toBeGreaterThan(0)
  expect(lean.methods).toEqual([dbt.methods[0], 0])
})

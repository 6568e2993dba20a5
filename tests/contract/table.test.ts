// The table of the contract says for each promise and warehouse whether it was kept, broken, or not tried and why.
import { expect, test } from 'vitest'
import { contractTable } from './table.ts'

test('the table has a line for each promise and a column for each warehouse', () => {
  const told = (warehouse: string, title: string, status: string) => ({
    ancestorTitles: [`the contract on ${warehouse}:`, 'a load:'],
    title,
    status,
  })
  const one = [told('A', 'is whole', 'passed'), told('A', 'is quick', 'failed')]
  const other = [told('B', 'is whole', 'passed'), told('B', 'is quick [not tried here: no clock]', 'skipped')]
  const alien = { ancestorTitles: ['another test'], title: 'is no promise', status: 'passed' }

  const table = contractTable({ testResults: [{ assertionResults: [...one, alien] }, { assertionResults: other }] })

  expect(table).toBe(`| promise | A | B |
| --- | --- | --- |
| **a load** |  |  |
| is whole | kept | kept |
| is quick | BROKEN | (1) |

(1) B: no clock
`)
})

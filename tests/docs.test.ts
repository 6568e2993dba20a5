// Documents that could fall behind the code: checked against it.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { isFailureType } from '../src/pipeline/failure.ts'

const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')

test('the runbook has an entry for each failure type, and for no other', () => {
  const entries = [...read('docs/operations.md').matchAll(/^\| ([A-Z][A-Za-z]+) \|/gm)].map(([, type]) => type ?? '')
  const types = [...read('src/pipeline/failure.ts').matchAll(/^ {2}([A-Z]\w+): '(?:retry|once|final)',$/gm)].map(
    ([, type]) => type,
  )
  expect(types.length).toBeGreaterThan(25)
  expect(new Set(entries)).toEqual(new Set(types))
  expect(entries.filter((type) => !isFailureType(type))).toEqual([])
})

test('every file that the README links to exists', () => {
  const links = [...read('README.md').matchAll(/\]\((?!http)([^)#]+)\)/g)].map(([, file]) => file ?? '')
  expect(links.length).toBeGreaterThan(3)
  for (const link of links.filter((file) => !file.endsWith('/'))) expect(read(link)).not.toBe('')
})

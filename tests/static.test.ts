// The static promises of the code: types, lint, format, no dead code, imports that point one way.
import { expect, test } from 'vitest'
import { CHECKS, runCheck } from '../tools/checks.mjs'

test.each(Object.entries(CHECKS))('%s finds nothing', async (_name, command) => {
  const { code, output } = await runCheck(command)
  expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' })
})

test('dependency-cruiser really sees the modules it checks', async () => {
  const { output } = await runCheck(CHECKS['imports (dependency-cruiser)'])
  // With a parser that does not understand TypeScript it finds 0 modules and no violation.
  const modules = Number(/\((\d+) modules/.exec(output)?.[1])
  expect(modules).toBeGreaterThan(80)
})

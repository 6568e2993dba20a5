// What becomes of one ingest entry: one load, or one for each value of a param.
import { expect, test } from 'vitest'
import type { Manifest } from '../dbt/manifest.ts'
import { pipelineSchema } from '../pipeline/definition.ts'
import { resolveRequest } from '../pipeline/request.ts'
import { planEntries } from './make-plan.ts'

const MANIFEST: Manifest = {
  digest: 'd',
  sources: [],
  nodes: [],
  endHooks: [],
  hasDefaultSelector: false,
  exposed: [],
}

function planned(entry: object, dept: string) {
  const definition = pipelineSchema.parse({
    name: 'weather',
    dbt: { project_dir: 'dbt' },
    params: { dept: { type: 'string', list: true }, day: { type: 'date', default: '2026-11-18' } },
    steps: [{ ingest: [{ into: 'raw.observations', columns: [{ name: 'id' }], ...entry }] }],
  })
  const resolved = resolveRequest(definition, { params: { dept } }, 0)
  return (definition.steps[0]?.ingest ?? []).flatMap((each) => planEntries(each, resolved, MANIFEST))
}

test('for_each makes one load of each value, with that value in request, added column and batch', () => {
  const entry = {
    for_each: 'dept',
    http: { url: 'https://api.example/{day}', params: { dept: '{dept}' } },
    add: { dept_code: '{dept}' },
  }
  const found = planned(entry, '9,09,2A').map(({ id, forEach, http, params, files, added }) => {
    return {
      id,
      forEach,
      sent: http?.params,
      params,
      files,
      added: added.find(({ name }) => name === 'dept_code')?.value,
    }
  })
  expect(found).toEqual(
    ['9', '09', '2A'].map((dept) => ({
      id: 'raw.observations',
      forEach: dept,
      sent: { dept },
      params: { dept, day: '2026-11-18' },
      files: `https://api.example/2026-11-18?dept=${dept}`,
      added: { kind: 'text', text: dept },
    })),
  )
})

test('an entry without for_each is one load, and bears no value', () => {
  const [only, ...more] = planned({ files: 'in/{day}.csv' }, '9,2A')
  expect(more).toEqual([])
  expect(only).toMatchObject({ files: 'in/2026-11-18.csv', params: { day: '2026-11-18' } })
  expect(only).not.toHaveProperty('forEach')
})

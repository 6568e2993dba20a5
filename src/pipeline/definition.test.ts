// The published schema and the asked-for pipelines agree with what the code takes.
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { INSTALLATION } from '../platform/workspace.ts'
import { pipelineJsonSchema } from './definition.ts'
import { listPipelines, loadPipeline } from './load.ts'

const pipelines = path.join(INSTALLATION.root, 'pipelines')

test.each(await listPipelines(pipelines))('pipelines/%s.yml is valid', async (name) => {
  expect(await loadPipeline(pipelines, name)).toMatchObject({ name })
})

test('the asked-for daily pipeline is there', async () => {
  expect(await listPipelines(pipelines)).toContain('daily')
})

test('schema/pipeline.schema.json is what the code says (else: npm run schema)', async () => {
  const published: unknown = JSON.parse(
    await readFile(path.join(INSTALLATION.root, 'schema', 'pipeline.schema.json'), 'utf8'),
  )

  expect(published).toEqual(pipelineJsonSchema())
})

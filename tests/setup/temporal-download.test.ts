// The SDK's download of the Temporal CLI: taken where it works, given up where nothing comes.
import { readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFakeProject, type FakeProject } from './fake-project.ts'

let project: FakeProject

/** A proxy stands for a network that may let the download through: then nothing is asked beforehand. */
const ONLINE = { MILLRACE_OFFLINE: '', HTTPS_PROXY: 'http://127.0.0.1:9' }

beforeEach(() => {
  project = createFakeProject({ tools: ['npm', 'python3', 'go'] })
})
afterEach(() => project.remove())

/** Plays @temporalio/testing; `body` is what its download does with the folder `downloadDir`. */
function sdkThat(body: string): void {
  project.write(
    'node_modules/@temporalio/testing/package.json',
    JSON.stringify({ name: '@temporalio/testing', type: 'module', exports: './index.js' }),
  )
  project.write(
    'node_modules/@temporalio/testing/index.js',
    `
    import { writeFileSync } from 'node:fs'
    import { join } from 'node:path'
    export const TestWorkflowEnvironment = {
      async createLocal({ server: { executable: { downloadDir } } }) {
        ${body}
        return { teardown: async () => {} }
      },
    }`,
  )
}

test('a downloaded CLI is used, and not downloaded again', async () => {
  sdkThat(`writeFileSync(join(downloadDir, 'temporal-sdk'), '#!/bin/sh\\n', { mode: 0o755 })`)
  expect((await project.bootstrap([], { env: ONLINE })).exitCode).toBe(0)
  expect(readlinkSync(join(project.root, '.millrace/bin/temporal'))).toMatch(/temporal-cli$/)
  expect(project.has('.millrace/bin/.download')).toBe(false)

  sdkThat(`throw new Error('asked twice')`)
  expect(await project.bootstrap([], { env: ONLINE })).toMatchObject({ exitCode: 0, stderr: '' })
  expect(project.calls()).not.toContain('go build')
})

test('a download from which nothing comes is given up for the build', async () => {
  sdkThat(`await new Promise((resolve) => setTimeout(resolve, 60_000))`)
  const result = await project.bootstrap([], { env: { ...ONLINE, MILLRACE_DOWNLOAD_TIMEOUT: '1' } })

  expect(result).toMatchObject({ exitCode: 0, timedOut: false })
  expect(project.calls()).toContain('go build')
  expect(readlinkSync(join(project.root, '.millrace/bin/temporal'))).toMatch(/temporal-dev-server$/)
})

test('a failed download without Go says what the SDK said', async () => {
  project.uninstall('go')
  sdkThat(`throw new Error('error sending request')`)
  const result = await project.bootstrap([], { env: ONLINE })

  expect(result.exitCode).toBe(1)
  expect(result.stderr).toContain('the SDK could not download the Temporal CLI: Error: error sending request')
  expect(result.stderr).toContain('brew install temporal')
})

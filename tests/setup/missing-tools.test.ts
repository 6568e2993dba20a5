// What a person reads when the machine lacks something: what, and the command that brings it. Never a stack trace.
import { readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { createFakeProject, type FakeProject } from './fake-project.ts'

let project: FakeProject

afterEach(() => project.remove())

test('without Python the message has the commands that install it', async () => {
  project = createFakeProject({ tools: ['npm', 'go'] })
  const result = await project.bootstrap(['run'])

  expect(result.exitCode).toBe(1)
  expect(result.stderr).toBe(
    [
      'dbt needs Python 3.10 or newer: none is on PATH',
      '  → Debian, Ubuntu: sudo apt-get install -y python3 python3-venv',
      '  → macOS: brew install python@3.13',
      '  → somewhere else: MILLRACE_PYTHON=/path/to/python3 npm run setup',
    ].join('\n'),
  )
  expect(project.calls()).toEqual([]) // found out before anything long began
})

test('a Python without its venv module is named, with the package that brings it', async () => {
  project = createFakeProject({ tools: ['npm', 'go'] })
  project.install('python3', 'echo "3 11 without venv"')
  const result = await project.bootstrap()

  expect(result.exitCode).toBe(1)
  expect(result.stderr).toMatch(/python3 \(3\.11\) lacks its venv module/)
  expect(result.stderr).toContain(
    process.platform === 'darwin' ? 'brew install' : 'sudo apt-get install -y python3.11-venv',
  )
})

test('a Python that is too old is passed over for one that is not', async () => {
  project = createFakeProject({ tools: ['npm', 'go'] })
  project.install('python3', 'echo "3 8 complete"')
  expect((await project.bootstrap()).stderr).toMatch(/found only .*python3 \(3\.8\)/)

  project.install('python3.11')
  expect((await project.bootstrap()).exitCode).toBe(0)
})

test('without npm the message says where it comes from', async () => {
  project = createFakeProject({ tools: ['python3', 'go'] })
  const result = await project.bootstrap()

  expect(result.exitCode).toBe(1)
  expect(result.stderr).toContain('npm is not on PATH; it comes with Node: nvm install 24')
})

test('packages without a Node that runs here are reported', async () => {
  project = createFakeProject({ tools: ['npm', 'python3', 'go'] })
  project.install('npm', 'mkdir -p node_modules/.bin')
  const result = await project.bootstrap([], {
    nodeFlags: ['--import', asModule(`Object.defineProperty(process, 'version', { value: 'v20.0.0' })`)],
  })

  expect(result.exitCode).toBe(1)
  expect(result.stderr).toContain('the packages brought no Node 24 that runs here')
  expect(result.stderr).toContain('nvm install 24')
})

test('without any way to a Temporal server all that was tried is told, with the ways out, and with what else is missing', async () => {
  project = createFakeProject({ tools: ['npm'] })
  const result = await project.bootstrap()

  expect(result.exitCode).toBe(1)
  expect(result.stderr).toContain('dbt needs Python 3.10 or newer')
  expect(result.stderr).toContain('there is no Temporal server and no way to get one')
  for (const tried of ['no `temporal` is on PATH', 'MILLRACE_OFFLINE=1', 'Go is not on PATH'])
    expect(result.stderr).toContain(tried)
  for (const wayOut of ['brew install temporal', 'https://go.dev/dl', 'TEMPORAL_ADDRESS=host:7233'])
    expect(result.stderr).toContain(wayOut)
  expect(result.stderr).not.toMatch(/^\s+at /m)
})

test('a Go that is too old and may fetch no other is named with both versions', async () => {
  project = createFakeProject({ tools: ['npm', 'python3'] })
  project.install('go', 'echo go1.22.1; echo local')
  const result = await project.bootstrap()

  expect(result.exitCode).toBe(1)
  expect(result.stderr).toMatch(
    /go is 1\.22\.1 and may fetch no other \(GOTOOLCHAIN=local\); tools\/temporal-dev-server needs 1\.26\.8/,
  )
})

test('with TEMPORAL_ADDRESS no server is looked for', async () => {
  project = createFakeProject({ tools: ['npm', 'python3'] })
  const result = await project.bootstrap([], { env: { TEMPORAL_ADDRESS: 'temporal.example.org:7233' } })

  expect(result.exitCode).toBe(0)
  expect(project.has('.millrace/bin/temporal')).toBe(false)
})

test('a Temporal CLI on PATH is used, also one that came later', async () => {
  project = createFakeProject({ tools: ['npm', 'python3', 'go'] })
  await project.bootstrap()
  expect(readlinkSync(link())).toMatch(/temporal-dev-server$/)

  project.install('temporal')
  await project.bootstrap()
  expect(readlinkSync(link())).toMatch(/path\/temporal$/)

  project.uninstall('temporal')
  expect((await project.bootstrap()).exitCode).toBe(0)
  expect(readlinkSync(link())).toMatch(/temporal-dev-server$/)
  expect(project.calls().filter((call) => call === 'go build')).toHaveLength(1)
})

test('a Temporal CLI that does not answer is passed over', async () => {
  project = createFakeProject({ tools: ['npm', 'python3', 'go'] })
  project.install('temporal', 'exit 1')
  expect((await project.bootstrap()).exitCode).toBe(0)
  expect(readlinkSync(link())).toMatch(/temporal-dev-server$/)
})

function link(): string {
  return join(project.root, '.millrace/bin/temporal')
}

function asModule(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`
}

// What the set-up promises: it does what is missing, once, and can be stopped at any point.
import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createFakeProject, type FakeProject } from './fake-project.ts'

let project: FakeProject

beforeEach(() => {
  project = createFakeProject({ tools: ['npm', 'python3', 'go'] })
})
afterEach(() => project.remove())

const ALL_STEPS = ['go build', 'npm ci', 'pip install', 'venv']

/** An npm that leaves its pid and never ends. */
const HANGING_NPM = 'echo $$ > npm.pid; exec sleep 60'

/** A set-up that has come to the packages and stays there. */
async function startHanging() {
  project.install('npm', HANGING_NPM)
  const running = project.bootstrap()
  await vi.waitUntil(() => project.has('npm.pid') && project.read('npm.pid').endsWith('\n'), { timeout: 10_000 })
  return { running, npmPid: Number(project.read('npm.pid')) }
}

test('a fresh checkout gets packages, dbt and a Temporal server, then the command runs', async () => {
  const result = await project.bootstrap(['run', 'daily'])

  expect(result.exitCode).toBe(0)
  expect(project.calls().sort()).toEqual(ALL_STEPS)
  expect(readlinkSync(join(project.root, '.millrace/bin/temporal'))).toBe(
    join(project.root, '.millrace/bin/temporal-dev-server'),
  )
  expect(result.stdout).toBe('millrace run daily')
  expect(result.stderr).toContain('packages: 3 packages installed')
  expect(result.stderr).toContain('python: dbt 1.12.6 installed, Python 3.12')
})

test('a second start runs no step and says nothing', async () => {
  await project.bootstrap()
  const result = await project.bootstrap()

  expect(result).toMatchObject({ exitCode: 0, stdout: '', stderr: '' })
  expect(project.calls()).toHaveLength(ALL_STEPS.length)
})

test.each([
  ['package-lock.json', 'npm ci'],
  ['tools/python/requirements.lock', 'pip install'],
  ['tools/temporal-dev-server/main.go', 'go build'],
])('a changed %s repeats only `%s`', async (file, step) => {
  await project.bootstrap()
  const before = project.calls().length
  project.write(file, 'dbt-core==1.13.0 // changed\n')
  await project.bootstrap()

  expect(
    project
      .calls()
      .slice(before)
      .filter((call) => call !== 'venv'),
  ).toEqual([step])
})

test('of two set-ups at once one works and the other waits for it', async () => {
  project.install(
    'npm',
    `sleep 1; echo "npm $1" >> "$CALLS"; mkdir -p node_modules/.bin; ln -s "$REAL_NODE" node_modules/.bin/node`,
  )
  const results = await Promise.all([project.bootstrap(), project.bootstrap(), project.bootstrap()])

  expect(results.map((result) => result.exitCode)).toEqual([0, 0, 0])
  expect(project.calls().sort()).toEqual(ALL_STEPS)
  expect(results.filter((result) => result.stderr.includes('another set-up is at work here'))).toHaveLength(2)
})

test.each(['SIGKILL', 'SIGINT', 'SIGTERM'] as const)(
  'after %s nothing works on in the background, and the next start finishes',
  async (signal) => {
    const { npmPid, running } = await startHanging()
    running.kill(signal)
    await running
    await vi.waitUntil(() => !isAlive(npmPid), { timeout: 10_000 })

    project.install('npm')
    expect(await project.bootstrap(['run'])).toMatchObject({ exitCode: 0, stdout: 'millrace run' })
  },
)

test('Ctrl+C ends with its exit code and one line', async () => {
  const { running } = await startHanging()
  running.kill('SIGINT')
  const result = await running

  expect(result.exitCode).toBe(130)
  expect(result.stderr).toMatch(/\ninterrupted; the same command goes on where this one stopped$/)
})

test('a half-built virtual environment is thrown away and built anew', async () => {
  project.install(
    'python3',
    `
case "$2" in
  venv) echo "venv" >> "$CALLS"; mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; touch "$3/half-built" ;;
  pip) echo "ERROR: no route to host"; exit 1 ;;
  *) echo "3 12 complete" ;;
esac`,
  )
  const failed = await project.bootstrap()
  expect(failed.exitCode).toBe(1)
  expect(failed.stderr).toContain('pip could not install dbt\n  │ ERROR: no route to host\n  → ')
  expect(project.has('.millrace/venv/half-built')).toBe(true)

  project.install('python3')
  expect((await project.bootstrap()).exitCode).toBe(0)
  expect(project.has('.millrace/venv/half-built')).toBe(false)
})

test('a failed step ends the others at once', async () => {
  project.install('npm', HANGING_NPM)
  project.install('python3', 'case "$2" in venv) sleep 0.5; exit 1 ;; *) echo "3 12 complete" ;; esac')
  const result = await project.bootstrap(['run'])

  expect(result).toMatchObject({ exitCode: 1, stdout: '', timedOut: false })
  expect(result.stderr).toContain('.millrace/venv could not be made')
  expect(result.stderr).not.toContain('npm could not')
})

test('a lock whose owner is dead does not stop anyone', async () => {
  project.write('.millrace/setup.lock', JSON.stringify({ pid: 2 ** 22 + 1, host: hostname() }))
  const result = await project.bootstrap()

  expect(result.exitCode).toBe(0)
  expect(existsSync(join(project.root, '.millrace/setup.lock'))).toBe(false)
})

test('a lock that is being kept alive is respected', async () => {
  project.write('.millrace/setup.lock', JSON.stringify({ pid: process.pid, host: hostname() }))
  const waiting = project.bootstrap()
  await sleep(1_000)
  waiting.kill('SIGINT')
  const result = await waiting

  expect(result.exitCode).toBe(130)
  expect(result.stderr).toContain(`another set-up is at work here (process ${process.pid})`)
  expect(project.calls()).toEqual([])
  expect(readFileSync(join(project.root, '.millrace/setup.lock'), 'utf8')).toContain(String(process.pid))
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

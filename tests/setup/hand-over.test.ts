// The set-up leaves no trace in the command: same exit code, same signals, nothing twice.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFakeProject, type FakeProject } from './fake-project.ts'

let project: FakeProject

beforeAll(async () => {
  project = createFakeProject({ tools: ['npm', 'python3', 'temporal'] })
  project.write(
    'bin/millrace.mjs',
    `
    const [what, value] = process.argv.slice(2)
    if (what === 'exit') process.exit(Number(value))
    if (what === 'die') process.kill(process.pid, value)
    let count = 0
    process.on(value, () => { count += 1; setTimeout(() => { console.log(count); process.exit(7) }, 300) })
    setTimeout(() => {}, 10_000)
    console.log('ready')
    `,
  )
  await project.bootstrap()
})
afterAll(() => project.remove())

describe.each([
  ['by becoming the command', []],
  ['by staying around it, as Node 20 must', ['--import', 'data:text/javascript,process.execve=undefined']],
])('%s', (_, nodeFlags) => {
  test('the exit code is the command’s', async () => {
    expect((await project.bootstrap(['exit', '3'], { nodeFlags })).exitCode).toBe(3)
  })

  test('a command that a signal killed looks killed', async () => {
    const result = await project.bootstrap(['die', 'SIGKILL'], { nodeFlags })
    expect(result.exitCode ?? `by ${result.signal}`).toBe(nodeFlags.length > 0 ? 137 : 'by SIGKILL')
  })

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s reaches the command once', async (signal) => {
    const running = project.bootstrap(['wait', signal], { nodeFlags })
    running.stdout.once('data', () => running.kill(signal))
    const result = await running

    expect(result.stdout).toBe('ready\n1')
    expect(result.exitCode).toBe(7)
  })
})

test('`test` runs the tests', async () => {
  expect((await project.bootstrap(['test', '--fast'])).stdout).toBe('tests --fast')
})

// The set-up: what is missing is made, side by side, and then the command runs.
import { mkdirSync, rmSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Interrupted, SetupFailure } from './failure.mjs'
import { handOver } from './hand-over.mjs'
import { withLock } from './lock.mjs'
import { nodePackages, projectNode } from './node-packages.mjs'
import { parseOptions } from './options.mjs'
import { createProgress } from './progress.mjs'
import { dbtEnvironment, pythonOnDemand } from './python.mjs'
import { temporalServer } from './temporal.mjs'

const PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64']

/**
 * @typedef {{ root: string, state: string, logs: string, env: NodeJS.ProcessEnv, signal: AbortSignal }} Project
 *   root: the checkout · state: .millrace · logs: what failed tools said · env: for the tools ·
 *   signal: aborted when the set-up has to stop
 *
 * @typedef {{
 *   name: string,
 *   isDone: () => Promise<boolean>,   // cheap: asked at each start of each command
 *   prepare: () => Promise<string>,   // what run will do; a SetupFailure when something is missing, before anything long begins
 *   run: (report: Report, packages: Promise<unknown> | undefined) => Promise<string>,
 * }} Step   run: returns what it did, in a few words; can be killed and run again at any point
 *
 * @typedef {{ phase: (text: string) => void, detail: (text: string) => void }} Report
 *   phase: something else is being done now · detail: how far it is, shown on a terminal only
 */

/** @param {string[]} args options of the set-up (options.mjs), then the command to run afterwards, or nothing */
export async function main(args) {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  let command
  try {
    const options = parseOptions(args)
    command = options.command
    await setUp(root, options)
  } catch (error) {
    process.exitCode = tell(error)
    return
  }
  if (command.length === 0) return
  const script = command[0] === 'test' ? ['tools/test.mjs', ...command.slice(1)] : ['bin/millrace.mjs', ...command]
  handOver([projectNode(root), join(root, script[0]), ...script.slice(1)])
}

/** @param {string} root @param {import('./options.mjs').Options} options */
async function setUp(root, options) {
  if (!PLATFORMS.includes(`${process.platform}-${process.arch}`)) {
    throw new SetupFailure(`Millrace runs on ${PLATFORMS.join(', ')}, this is ${process.platform}-${process.arch}`, [
      'Windows: run it inside WSL: wsl --install',
    ])
  }
  const stop = new AbortController()
  const onSignal = (signal) => stop.abort(new Interrupted(signal))
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  const state = join(root, '.millrace')
  const scratch = join(state, 'tmp')
  // Tools are killed, not stopped: what they leave unfinished must lie where the next set-up clears it away.
  const env = { ...process.env, TMPDIR: scratch, GOTMPDIR: scratch }
  const project = { root, state, logs: join(state, 'logs'), env, signal: stop.signal }
  const usual = [nodePackages(project), dbtEnvironment(project), temporalServer(project)]
  const steps = chosenSteps(usual, pythonOnDemand(project), options)
  for (const signal of signals) process.on(signal, onSignal)
  try {
    if ((await missing(steps)).length === 0) return
    mkdirSync(state, { recursive: true })
    const progress = createProgress(process.stderr)
    const onWait = (pid) => progress.note(`another set-up is at work here (process ${pid}): waiting for it`)
    await withLock(join(state, 'setup.lock'), { onWait, signal: stop.signal }, async () => {
      clear(scratch)
      mkdirSync(scratch)
      try {
        await runAll(await missing(steps), progress, stop) // asked again: the one waited for may have done it all
      } finally {
        clear(scratch)
      }
    })
  } finally {
    for (const signal of signals) process.off(signal, onSignal)
  }
}

/** @param {Step[]} usual @param {Step[]} onDemand @param {import('./options.mjs').Options} options */
function chosenSteps(usual, onDemand, { wanted, only, unwanted }) {
  const known = [...usual, ...onDemand]
  for (const name of [...wanted, ...only, ...unwanted]) {
    if (known.some((step) => step.name === name)) continue
    throw new SetupFailure(`the set-up has no part ${name}`, [`it has ${known.map((step) => step.name).join(', ')}`])
  }
  if (only.length > 0) return known.filter(({ name }) => only.includes(name))
  return [
    ...usual.filter(({ name }) => !unwanted.includes(name)),
    ...onDemand.filter(({ name }) => wanted.includes(name)),
  ]
}

function clear(folder) {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}

/** @param {Step[]} steps */
async function missing(steps) {
  const done = await Promise.all(steps.map((step) => step.isDone()))
  return steps.filter((_, i) => !done[i])
}

/**
 * Everything that is missing on this machine is told at once, before minutes are spent.
 * @param {Step[]} steps
 * @returns {Promise<string[]>} what each step is going to do
 */
async function prepareAll(steps) {
  const results = await Promise.allSettled(steps.map((step) => step.prepare()))
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
  const unexpected = errors.find((error) => !(error instanceof SetupFailure))
  if (unexpected) throw unexpected
  if (errors.length > 0) throw new AggregateError(errors)
  return results.map((result) => result.value)
}

/** @param {Step[]} steps @param {ReturnType<typeof createProgress>} progress @param {AbortController} stop */
async function runAll(steps, progress, stop) {
  const intentions = await prepareAll(steps)
  /** @type {Map<string, Promise<string>>} */
  const running = new Map()
  for (const [i, step] of steps.entries()) {
    progress.start(step.name, intentions[i])
    running.set(step.name, runOne(step, running.get('packages'), progress, stop))
  }
  try {
    await Promise.all(running.values())
  } finally {
    await Promise.allSettled(running.values())
    progress.clear()
  }
}

/**
 * @param {Step} step
 * @param {Promise<string> | undefined} packages
 * @param {ReturnType<typeof createProgress>} progress
 * @param {AbortController} stop
 */
async function runOne(step, packages, progress, stop) {
  const report = {
    phase: (text) => progress.phase(step.name, text),
    detail: (text) => progress.detail(step.name, text),
  }
  try {
    const text = await step.run(report, packages)
    progress.done(step.name, text)
    return text
  } catch (error) {
    if (!stop.signal.aborted) {
      progress.failed(step.name)
      stop.abort(error) // ends the other steps, which start over or go on next time
    }
    throw error
  }
}

/** Says what went wrong. @param {unknown} error @returns {number} the exit code */
function tell(error) {
  if (error instanceof Interrupted) {
    console.error('interrupted; the same command goes on where this one stopped')
    return 128 + constants.signals[error.signal]
  }
  const failures = error instanceof AggregateError ? error.errors : [error]
  for (const failure of failures) {
    if (process.env.MILLRACE_DEBUG) console.error(failure)
    else if (failure instanceof SetupFailure) console.error(String(failure))
    else console.error(`the set-up failed: ${failure?.message}\n  → for the details: MILLRACE_DEBUG=1 npm run setup`)
  }
  return 1
}

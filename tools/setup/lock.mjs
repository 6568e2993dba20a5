// One set-up at a time per project: a lock file with its owner's pid.
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 200
const BEAT_MS = 5_000
/** A lock that was not touched for so long is dead, whatever its pid says: pids come back, and differ between containers. */
const DEAD_AFTER_MS = 60_000
/** A takeover lasts microseconds; one this old was killed in the middle of it. */
const TAKEOVER_DEAD_AFTER_MS = 10_000

/**
 * Runs `work` while holding the lock; waits for another owner that is alive, takes over from a dead one.
 * @template T
 * @param {string} file
 * @param {{ onWait: (pid: number) => void, signal: AbortSignal }} options onWait is called once
 * @param {() => Promise<T>} work
 */
export async function withLock(file, { onWait, signal }, work) {
  for (let told = false; !create(file);) {
    signal.throwIfAborted()
    const owner = readOwner(file)
    if (owner && !isAlive(file, owner)) {
      takeOver(file, owner)
      continue
    }
    if (owner && !told) {
      onWait(owner.pid)
      told = true
    }
    await sleep(POLL_MS)
  }
  const release = () => rmSync(file, { force: true })
  const beat = setInterval(() => utimesSync(file, new Date(), new Date()), BEAT_MS)
  process.once('exit', release)
  try {
    return await work()
  } finally {
    clearInterval(beat)
    process.off('exit', release)
    release()
  }
}

/** @param {string} file @returns {boolean} false when somebody else has it */
function create(file) {
  try {
    writeFileSync(file, JSON.stringify({ pid: process.pid, host: hostname() }), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
}

/** @returns {{ pid: number, host: string } | undefined} undefined while the lock is gone or being written */
function readOwner(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return ageMs(file) > DEAD_AFTER_MS ? { pid: 0, host: hostname() } : undefined
  }
}

function isAlive(file, owner) {
  if (ageMs(file) > DEAD_AFTER_MS) return false
  if (owner.host !== hostname()) return true
  try {
    process.kill(owner.pid, 0)
    return owner.pid !== process.pid // a container restarted with the same pid
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/**
 * Removes a dead owner's lock. Two that wait would both see it dead, and the slower one would remove the lock the faster
 * one has just taken: so removal has a lock of its own, and looks again under it.
 */
function takeOver(file, dead) {
  const takeover = `${file}.takeover`
  if (!create(takeover)) {
    if (ageMs(takeover) > TAKEOVER_DEAD_AFTER_MS) rmSync(takeover, { force: true })
    return
  }
  try {
    if (readOwner(file)?.pid === dead.pid) rmSync(file, { force: true })
  } finally {
    rmSync(takeover, { force: true })
  }
}

function ageMs(file) {
  try {
    return Date.now() - statSync(file).mtimeMs
  } catch {
    return 0
  }
}

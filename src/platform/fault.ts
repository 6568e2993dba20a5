// Named points at which a test can kill this process, as a crash would: SIGKILL, nothing is cleaned up.
import { existsSync, writeFileSync } from 'node:fs'
import { readEnvironment } from './environment.ts'

/**
 * Dies here when MILLRACE_FAULT is `<point>@<marker file>` and the marker does not exist yet. The marker is left
 * behind, so that the test can assert that the fault happened and the next attempt gets past it.
 */
export function faultPoint(point: string): void {
  const [wanted, marker] = readEnvironment().faultPoint?.split('@') ?? []
  if (wanted !== point || marker === undefined || existsSync(marker)) return
  writeFileSync(marker, point)
  process.kill(process.pid, 'SIGKILL')
}

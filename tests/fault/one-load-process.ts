// The process that a test kills: does one load, tells what came of it, and ends.
import { writeFileSync } from 'node:fs'
import { describeFailure } from '../../src/pipeline/failure.ts'
import { loadOnce, type LoadRequest } from './one-load.ts'

/** `{ report }` or `{ failure }` on the output that the test reads. */
const [request = ''] = process.argv.slice(2)
try {
  tell({ report: await loadOnce(JSON.parse(request) as LoadRequest) }) // written by load-processes.ts
} catch (error) {
  tell({ failure: describeFailure(error) })
}

function tell(outcome: unknown): void {
  writeFileSync(process.stdout.fd, JSON.stringify(outcome))
}

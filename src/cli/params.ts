// Params of a pipeline as they are given on the command line.
import { failure } from '../pipeline/failure.ts'

/**
 * `--date 2026-11-18 --dept=9` → params. Whether they exist is the pipeline's to say; here only the form counts. Fails
 * with RequestInvalid for anything that is not `--name value`.
 */
export function parseParams(args: readonly string[]): Record<string, string> {
  const params: Record<string, string> = {}
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? ''
    const match = /^--([a-z_]\w*)(?:=(.*))?$/.exec(arg)
    const value = match?.[2] ?? args[at + 1]
    if (match?.[1] === undefined) {
      throw failure(
        'RequestInvalid',
        `'${arg}' is not understood; params are given as --name value, e.g. --date 2026-11-18 ` +
          '(behind npm run start-workflow, first of all a --)',
      )
    }
    if (value === undefined || value.startsWith('--')) {
      throw failure('RequestInvalid', `${arg} needs a value, e.g. ${arg} 2026-11-18; for options see --help`)
    }
    if (match[2] === undefined) at++
    params[match[1]] = value
  }
  return params
}

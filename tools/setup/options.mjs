// What the set-up itself is told, before the command that runs afterwards: --with bigquery · --without temporal · --only bigquery
import { SetupFailure } from './failure.mjs'

/**
 * @typedef {{ wanted: string[], unwanted: string[], only: string[], command: string[] }} Options
 *   names of steps: in addition to the usual ones · to be left out · to be done alone, because the rest is in use
 */

/** @type {Record<string, 'wanted' | 'unwanted' | 'only'>} */
const OPTIONS = { '--with': 'wanted', '--without': 'unwanted', '--only': 'only' }

/** @param {string[]} args @returns {Options} everything from the first word on that is no such option is the command */
export function parseOptions(args) {
  const options = { wanted: [], unwanted: [], only: [], command: [] }
  let i = 0
  for (; Object.hasOwn(OPTIONS, args[i] ?? ''); i += 2) {
    const name = args[i + 1]
    if (name === undefined) {
      throw new SetupFailure(`${args[i]} needs the name of a part`, [`npm run setup -- ${args[i]} bigquery`])
    }
    options[OPTIONS[args[i]]].push(name)
  }
  options.command = args.slice(i)
  return options
}

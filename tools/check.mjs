// `npm run check`: all static checks, and what each of those that failed has to say.
import { CHECKS, runCheck } from './checks.mjs'

let failed = 0
for (const [name, command] of Object.entries(CHECKS)) {
  const { code, output } = await runCheck(command)
  console.log(`${code === 0 ? '✔' : '✖'} ${name}`)
  if (code !== 0) {
    failed++
    console.log(output)
  }
}
process.exitCode = failed === 0 ? 0 : 1

// Hands this process over to the command, so that its signals, exit code and terminal are the command's own.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'

/**
 * Becomes the command, or, where Node cannot (before 22.15), stays around it. Does not return.
 * @param {string[]} argv
 */
export function handOver(argv) {
  if (process.execve) {
    process.removeAllListeners('warning') // that execve is experimental is no news for whoever runs a pipeline
    process.execve(argv[0], argv, process.env)
  }
  const child = spawn(argv[0], argv.slice(1), { stdio: 'inherit' })
  // Ctrl+C and a closed terminal reach the whole foreground group, so the child has them already, and most programs take
  // a second one as "now at once". Without a terminal these come from a supervisor that knows only our pid.
  const onTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY)
  for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => void (onTerminal || child.kill(signal)))
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.once('error', (error) => {
    console.error(
      `${argv[0]} could not be started (${error.code}); set the project up again: rm -rf node_modules && npm run setup`,
    )
    process.exit(1)
  })
  child.once('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}

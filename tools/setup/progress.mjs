// What a person sees of running steps: on a terminal a line each that counts seconds, elsewhere a line at start and end.
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const FRAME_MS = 100
const NAME_WIDTH = 9
const TOOK_WIDTH = 10

/** @param {NodeJS.WriteStream} out standard error, because standard output belongs to the command */
export function createProgress(out) {
  /** @type {Map<string, { text: string, startedAt: number }>} */
  const running = new Map()
  const live = Boolean(out.isTTY) && process.env.TERM !== 'dumb' && !process.env.CI
  const colour = live && !process.env.NO_COLOR ? (code, text) => `\u001B[${code}m${text}\u001B[0m` : (_, text) => text
  let drawnLines = 0
  let frame = 0
  let timer

  // Each frame is one write: a terminal that shows half of one flickers.
  const erased = () => (drawnLines > 0 ? `\u001B[${drawnLines}A\u001B[0J` : '')
  const draw = (before = '') => {
    const lines = [...running].map(([name, { text, startedAt }]) => row(FRAMES[frame], name, duration(startedAt), text))
    out.write(erased() + before + lines.map((line) => `${fit(line, out.columns || 80)}\n`).join(''))
    drawnLines = lines.length
  }
  const print = (line) => {
    if (live) draw(`${line}\n`)
    else out.write(`${line}\n`)
  }
  const tick = () => {
    frame = (frame + 1) % FRAMES.length
    draw()
  }
  const end = (name) => {
    const startedAt = running.get(name)?.startedAt ?? Date.now()
    running.delete(name)
    if (running.size === 0) clearInterval(timer)
    return duration(startedAt)
  }

  return {
    start(name, text) {
      running.set(name, { text, startedAt: Date.now() })
      if (!live) return print(`${name}: ${text} …`)
      if (running.size === 1) timer = setInterval(tick, FRAME_MS)
      draw()
    },
    /** A running step does something else now. */
    phase(name, text) {
      if (live) this.detail(name, text)
      else print(`${name}: ${text} …`)
    },
    /** How far a running step is; only a terminal shows it. */
    detail(name, text) {
      const step = running.get(name)
      if (step) step.text = text
    },
    done(name, text) {
      const took = end(name)
      print(live ? row(colour(32, '✔'), name, took, text) : `${name}: ${text}, ${took}`)
    },
    failed(name) {
      const took = end(name)
      print(live ? row(colour(31, '✖'), name, took, 'failed') : `${name}: failed after ${took}`)
    },
    /** Takes the lines of everything still running off the screen. */
    clear() {
      running.clear()
      clearInterval(timer)
      if (live) draw()
    },
    note: print,
  }
}

function duration(startedAt) {
  const seconds = Math.round((Date.now() - startedAt) / 1000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

function row(mark, name, took, text) {
  return `${mark} ${name.padEnd(NAME_WIDTH)} ${took.padStart(TOOK_WIDTH)}  ${text}`
}

/** A line that wraps would be erased only in part. */
function fit(line, columns) {
  return line.length < columns ? line : `${line.slice(0, columns - 2)}…`
}

// The terminal: colours, widths, lines that are redrawn in place. The one place that writes to standard output.
import pc from 'picocolors'
import stringWidth from 'string-width'

export const color = pc

/** Lines for a person or a pipe. */
export function say(...lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line}\n`)
}

export function sayError(...lines: readonly string[]): void {
  for (const line of lines) process.stderr.write(`${line}\n`)
}

export function isTerminal(): boolean {
  return process.stdout.isTTY && process.env['TERM'] !== 'dumb'
}

/** `text` and at least one blank, filled up to a width in terminal cells. */
export function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(1, width - stringWidth(text)))
}

/** Cut to a width in cells; only for text without colours. */
export function cut(text: string, width: number): string {
  if (stringWidth(text) <= width) return text
  let kept = ''
  for (const char of text) {
    if (stringWidth(kept + char) > width - 1) break
    kept += char
  }
  return `${kept}…`
}

export function terminalWidth(): number {
  return Math.max(60, Math.min(process.stdout.columns ?? 100, 140))
}

export interface Redraw {
  show(lines: readonly string[]): void
  /** Removes what was shown. */
  clear(): void
}

/** Lines that replace each other, on a terminal only. */
export function openRedraw(): Redraw {
  let height = 0
  const clear = () => {
    if (height > 0) process.stdout.write(`\u001B[${height}A\u001B[J`)
    height = 0
  }
  return {
    show(lines) {
      // One write, so that a frame is never seen half drawn.
      const up = height > 0 ? `\u001B[${height}A` : ''
      process.stdout.write(`${up}${lines.map((line) => `${line}\u001B[K\n`).join('')}\u001B[J`)
      height = lines.length
    },
    clear,
  }
}

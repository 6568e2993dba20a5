// The one error a person is meant to read: what is missing, and the command that fixes it.

export class SetupFailure extends Error {
  /**
   * @param {string} what happened, to what
   * @param {string[]} fixes one way out per line, each with its exact command
   * @param {string} [details] what a tool said about it
   */
  constructor(what, fixes, details = '') {
    super(what)
    this.fixes = fixes
    this.details = details
  }

  toString() {
    const lines = [this.message]
    if (this.details) lines.push(...this.details.split('\n').map((line) => `  │ ${line}`))
    lines.push(...this.fixes.map((fix) => `  → ${fix}`))
    return lines.join('\n')
  }
}

/** A signal ended the set-up. Nothing is broken: every step starts over or goes on at the next run. */
export class Interrupted extends Error {
  /** @param {NodeJS.Signals} signal */
  constructor(signal) {
    super(`interrupted by ${signal}`)
    this.signal = signal
  }
}

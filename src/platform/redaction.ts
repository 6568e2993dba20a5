// Removes secrets from texts that leave the process: known values first, then anything that looks like one.

const SHAPES: readonly [RegExp, string][] = [
  [
    /\b((?:password|passwd|pwd|secret|token|api[-_]?key|authorization)["']?\s*[:=]\s*["']?)[^\s"',;}]+/gi,
    '$1[redacted]',
  ],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/g, '$1 [redacted]'],
  [/(\w+:\/\/[^\s:/@]+:)[^\s@/]+@/g, '$1[redacted]@'],
]

/** Values shorter than this are not treated as secrets: replacing every `1` would only make texts unreadable. */
const MIN_SECRET_LENGTH = 6

/** A function that replaces the given secret values, and secret-looking parts, by `[redacted]`. */
export function redactor(secrets: readonly string[]): (text: string) => string {
  const known = secrets.filter((secret) => secret.length >= MIN_SECRET_LENGTH).sort((a, b) => b.length - a.length)
  return (text) => {
    const withoutKnown = known.reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text)
    return SHAPES.reduce((rest, [shape, replacement]) => rest.replaceAll(shape, replacement), withoutKnown)
  }
}

// Removes secrets from texts that leave the process: known values first, then anything that looks like one.

const SHAPES: readonly [RegExp, string][] = [
  [
    /\b((?:password|passwd|pwd|secret|token|api[-_]?key|authorization)["']?\s*[:=]\s*["']?)[^\s"',;}]+/gi,
    '$1[redacted]',
  ],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/g, '$1 [redacted]'],
  [/(\w{1,32}:\/\/[^\s:/@]{1,256}:)[^\s@/]+@/g, '$1[redacted]@'],
]

/** Values shorter than this are not treated as secrets: replacing every `1` would only make texts unreadable. */
const MIN_SECRET_LENGTH = 6

/** A function that replaces the given secret values, and secret-looking parts, by `[redacted]`. */
export function redactor(secrets: readonly string[]): (text: string) => string {
  const withoutKnown = knownRedactor(secrets)
  return (text) =>
    SHAPES.reduce((rest, [shape, replacement]) => rest.replaceAll(shape, replacement), withoutKnown(text))
}

/** The same for the given values only, also as JSON writes them (Python's: in ASCII): for files that others read on. */
export function knownRedactor(secrets: readonly string[]): (text: string) => string {
  const spellings = secrets.flatMap((secret) => {
    const json = JSON.stringify(secret).slice(1, -1)
    const ascii = json.replaceAll(
      /[^\0-\x7F]/g,
      (unit) => String.raw`\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    return [secret, json, ascii]
  })
  const known = [...new Set(spellings)]
    .filter((secret) => secret.length >= MIN_SECRET_LENGTH)
    .sort((a, b) => b.length - a.length)
  return (text) => known.reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text)
}

// Stamps: a finished step leaves the digest of what it was made from, inside what it made, so both vanish together.
import { createHash } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'

/**
 * The digest of some files and of anything else the result depends on.
 * @param {string[]} files
 * @param {unknown[]} more
 */
export function digest(files, ...more) {
  const hash = createHash('sha256')
  for (const file of files) hash.update(readFileSync(file)).update('\0')
  return hash.update(JSON.stringify(more)).digest('hex')
}

/** @param {string} file @returns {string} '' when there is no stamp */
export function readStamp(file) {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return ''
  }
}

/** Appears whole or not at all. @param {string} file @param {string} text */
export function writeStamp(file, text) {
  writeFileSync(`${file}.new`, `${text}\n`)
  renameSync(`${file}.new`, file)
}

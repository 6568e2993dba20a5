// libpq's sslmode as ways to connect: which certificates are asked for, shown and checked.
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { failure } from '../../pipeline/failure.ts'
import { errorCode } from '../../platform/files.ts'
import type { TlsMode } from '../../platform/postgres.ts'
import type { PostgresSettings } from './settings.ts'

type TlsSettings = Pick<PostgresSettings, 'host' | 'sslmode' | 'sslcert' | 'sslkey' | 'sslrootcert'>

/** Where libpq looks for what the profile does not name. */
const LIBPQ_FOLDER = path.join(homedir(), '.postgresql')

/** The ways to connect, in their order. Fails with ProfileInvalid where a file cannot be read. */
export function tlsModes(
  settings: TlsSettings,
  where: string,
  libpqFolder = LIBPQ_FOLDER,
): readonly [TlsMode, ...TlsMode[]] {
  const { host, sslmode } = settings
  // A socket file does not leave the machine; libpq ignores the mode there.
  if (sslmode === 'disable' || host.startsWith('/')) return [false]
  const read = (name: 'sslcert' | 'sslkey' | 'sslrootcert', libpqName: string) =>
    readPem(settings[name], path.join(libpqFolder, libpqName), `${where}: ${name}`)
  const cert = read('sslcert', 'postgresql.crt')
  const key = cert === undefined ? undefined : read('sslkey', 'postgresql.key')
  const shown = { ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) }
  const unchecked = { ...shown, rejectUnauthorized: false }
  if (sslmode === 'allow') return [false, unchecked]
  if (sslmode === 'prefer') return [unchecked, false]

  // libpq checks the whole of it where it trusts the system's authorities: anybody can get a certificate of those.
  if (settings.sslrootcert === 'system') return [{ ...shown, rejectUnauthorized: true }]
  const ca = read('sslrootcert', 'root.crt')
  if (ca === undefined) {
    if (sslmode === 'require') return [unchecked]
    throw failure(
      'ProfileInvalid',
      `${where}: sslmode ${sslmode} needs the authority's certificate; set sslrootcert to its file, or to system`,
    )
  }
  const checked = { ...shown, ca, rejectUnauthorized: true }
  // With an authority at hand libpq checks for `require`, too, what verify-ca does: its signature, but not the host's name.
  return [sslmode === 'verify-full' ? checked : { ...checked, checkServerIdentity: () => undefined }]
}

/** Undefined where the profile names no file and libpq's is not there. */
function readPem(named: string | undefined, libpqs: string, what: string): string | undefined {
  try {
    return readFileSync(named ?? libpqs, 'utf8')
  } catch (error) {
    if (named === undefined && errorCode(error) === 'ENOENT') return undefined
    throw failure(
      'ProfileInvalid',
      `${what}: ${named ?? libpqs} cannot be read (${errorCode(error) ?? 'unknown'}); give the path of a PEM file`,
    )
  }
}

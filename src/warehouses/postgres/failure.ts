// Postgres's SQLSTATEs and the network's error codes → our failure types.
import { ApplicationFailure } from '@temporalio/common'
import { failure, type FailureType } from '../../pipeline/failure.ts'
import { errorCode } from '../../platform/files.ts'
import { NO_TLS } from '../../platform/postgres.ts'

/** Whom a failure is told about. */
export interface FailedOn {
  /** `host:port/database` */
  readonly label: string
  readonly user: string
  readonly database: string
  /** The profile and its target, for what is corrected there. */
  readonly where: string
}

/** Casts an error of the driver; one of our own stays what it is. */
export function asPostgresFailure(error: unknown, on: FailedOn): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error
  const state = sqlState(error)
  const { type, message } =
    state === undefined ? connectionFailure(error, on) : stateFailure(state, serverText(error, state), on)
  return failure(type, message)
}

interface Meaning {
  readonly type: FailureType
  readonly message: string
}

/** Of an error that the server sent: five digits and capitals, beside a severity. */
function sqlState(error: unknown): string | undefined {
  const code = errorCode(error)
  return error instanceof Error && 'severity' in error && code !== undefined && /^[0-9A-Z]{5}$/.test(code)
    ? code
    : undefined
}

/**
 * What the server says, without values of records: it quotes them in `detail`, and in the message itself where a value is
 * no value of its type (class 22). Where it stands of `where` only what names the table, the line and the column.
 */
function serverText(error: unknown, state: string): string {
  if (!(error instanceof Error)) return ''
  const message =
    state.startsWith('22') && state !== '22023' ? error.message.replace(/(?::\s*|\s+)"[\s\S]*$/, '') : error.message
  const context = 'where' in error && typeof error.where === 'string' ? error.where : ''
  const [place] = /COPY \w+, line \d+(?:, column \w+)?/.exec(context) ?? []
  return place === undefined ? message : `${message} (${place})`
}

/** Exact states first, then their classes (the first two characters). */
const MEANINGS: Readonly<Record<string, (text: string, on: FailedOn) => Meaning>> = {
  '28P01': (_text, { label, user, where }) => ({
    type: 'WarehouseAuth',
    message: `${label} does not let user '${user}' in: wrong password, or no such user; correct user and password of ${where}`,
  }),
  '28': (text, { label, where }) => ({
    type: 'WarehouseAuth',
    message: `${label} does not let us in: ${text}. Correct user and sslmode of ${where}, or the server's pg_hba.conf`,
  }),
  '42501': (text, on) => ({ type: 'WarehouseAuth', message: `${on.label}: ${text}. ${grantNeeded(text, on)}` }),
  '3D000': (_text, { label, database, where }) => ({
    type: 'ProfileInvalid',
    message: `${label}: there is no database '${database}'; correct dbname of ${where}, or: CREATE DATABASE "${database}"`,
  }),
  '22023': (text, { label, where }) => {
    const isRole = /^role "[^"]*" does not exist$/.test(text)
    return isRole
      ? { type: 'ProfileInvalid', message: `${label}: ${text}; correct role of ${where}` }
      : { type: 'WarehouseFailed', message: `${label}: ${text} (SQLSTATE 22023)` }
  },
  '3F000': (text, { label, where }) => ({
    type: 'ProfileInvalid',
    message: `${label}: ${text}; correct schema and search_path of ${where}, or create the schema`,
  }),
  '55P03': (text, { label }) => ({
    type: 'WarehouseBusy',
    message: `${label}: ${text}: another session holds the table; see SELECT pid, query FROM pg_stat_activity WHERE state <> 'idle'`,
  }),
  '40': busyWithOthers,
  '55006': busyWithOthers,
  '53100': (_text, { label }) => ({
    type: 'DiskFull',
    message: `no space left on the disk of ${label}; free some and start the run again`,
  }),
  '58030': (text, { label }) =>
    /no space left/i.test(text)
      ? { type: 'DiskFull', message: `no space left on the disk of ${label}; free some and start the run again` }
      : { type: 'WarehouseFailed', message: `${label}: ${text}` },
  '53300': (text, { label }) => ({
    type: 'WarehouseUnreachable',
    message: `${label} takes no more connections (${text}); end some of them, or raise max_connections`,
  }),
  '57014': (text, { label }) => ({
    type: 'WarehouseFailed',
    message: text.includes('statement timeout')
      ? `${label}: a statement took longer than Millrace lets any take; see what it waited for, or load less at once`
      : `${label}: somebody cancelled the statement (${text}); start the run again`,
  }),
  '57P': unreachable,
  '08': unreachable,
  '25P03': (text, { label }) => ({
    type: 'WarehouseUnreachable',
    message: `${label} ended the connection: ${text}; start the run again`,
  }),
  '25006': (text, { label, where }) => ({
    type: 'ProfileInvalid',
    message: `${label}: ${text}: a standby, or a user who may only read; correct host or user of ${where}`,
  }),
}

function stateFailure(state: string, text: string, on: FailedOn): Meaning {
  const meaning = MEANINGS[state] ?? MEANINGS[state.slice(0, 3)] ?? MEANINGS[state.slice(0, 2)]
  return meaning?.(text, on) ?? { type: 'WarehouseFailed', message: `${on.label}: ${text} (SQLSTATE ${state})` }
}

function busyWithOthers(text: string, { label }: FailedOn): Meaning {
  return { type: 'WarehouseBusy', message: `${label}: ${text}: another session works on the same; start the run again` }
}

function unreachable(text: string, { label }: FailedOn): Meaning {
  return {
    type: 'WarehouseUnreachable',
    message: `${label} does not answer: ${text}; see that the server is up, then start the run again`,
  }
}

/** The statement that an owner or superuser has to run, as far as the server's text tells it. */
function grantNeeded(text: string, { user, database }: FailedOn): string {
  const [, kind, name] = /permission denied for (schema|database|table|view|sequence|relation) (\S+)/.exec(text) ?? []
  const [, owned, ownedName] = /must be owner of (\w+) (\S+)/.exec(text) ?? []
  const [, role] = /permission denied to set role "([^"]+)"/.exec(text) ?? []
  if (role !== undefined) return `Its owner has to run: GRANT "${role}" TO "${user}"`
  if (owned !== undefined) return `Its owner has to run: ALTER ${owned.toUpperCase()} ${ownedName} OWNER TO "${user}"`
  switch (kind) {
    case 'schema':
      return `Its owner has to run: GRANT USAGE, CREATE ON SCHEMA "${name}" TO "${user}"`
    case 'database':
      return `Its owner has to run: GRANT CREATE ON DATABASE "${database}" TO "${user}"`
    case undefined:
      return `Its owner has to grant it to "${user}"`
    default:
      return `Its owner has to run: GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO "${user}"`
  }
}

/** Of the network, of TLS, of the driver: no SQLSTATE came. */
function connectionFailure(error: unknown, on: FailedOn): Meaning {
  const { label, where } = on
  const text = error instanceof Error ? error.message : String(error)
  const code = errorCode(error)
  if (text === NO_TLS) {
    return {
      type: 'ProfileInvalid',
      message: `${label} has no TLS, but ${where} asks for it; set sslmode there to prefer, or set TLS up on the server`,
    }
  }
  if (code !== undefined && /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|ERR_OSSL/.test(code)) {
    return {
      type: 'ProfileInvalid',
      message: `${label}: the server's certificate is not what ${where} asks for (${code}); correct sslrootcert, host or sslmode there`,
    }
  }
  const isNetwork = code !== undefined && NETWORK_CODES.has(code)
  if (isNetwork || /timeout|terminated|not queryable|connection error|SSL connection/i.test(text)) {
    return unreachable(isNetwork ? `${code} (${EXPLAINED[code] ?? 'the network'})` : text, on)
  }
  return engineFailure(text, on)
}

/** Of the engine that makes the rows; what it quotes of a record is left out. */
function engineFailure(text: string, { label }: FailedOn): Meaning {
  if (/no space left on device/i.test(text)) {
    return {
      type: 'DiskFull',
      message: `no space left on this machine's disk for the rows on their way to ${label}; free some and start the run again`,
    }
  }
  const told = text.replace(/\s*(?:Input:|Original Line:|LINE \d+:)[\s\S]*$/, '')
  return { type: 'WarehouseFailed', message: `the rows for ${label} could not be made or sent: ${told}` }
}

const EXPLAINED: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: "the host's name cannot be looked up now",
  ENOENT: 'there is no such socket',
  ETIMEDOUT: 'no answer in time',
}

const UNEXPLAINED = [
  'ECONNABORTED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'ENOTCONN',
]
const NETWORK_CODES = new Set([...Object.keys(EXPLAINED), ...UNEXPLAINED])

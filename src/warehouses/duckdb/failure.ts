// DuckDB's error texts → our failure types.
import { ApplicationFailure } from '@temporalio/common'
import { failure } from '../../pipeline/failure.ts'

/** Casts an error of the driver; one of our own stays what it is. */
export function asDuckdbFailure(error: unknown, file: string): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error
  // What DuckDB quotes of a record must not get into a history.
  const text = (error instanceof Error ? error.message : String(error)).replace(/\n?Original Line:[\s\S]*/, '')
  const holder = /Conflicting lock is held in (.+?) \(PID (\d+)\)/.exec(text)
  if (holder !== null || /could not set lock on file/i.test(text)) {
    const by = holder?.[2] === undefined ? 'another program' : `${holder[1] ?? 'a program'} (process ${holder[2]})`
    return failure('WarehouseBusy', `${file} is open in ${by}; DuckDB lets only one program write. Close it there`)
  }
  if (/no space left on device/i.test(text)) {
    return failure('DiskFull', `no space left on the disk of ${file}; free some and start the run again`)
  }
  if (/not a valid DuckDB database file/i.test(text)) {
    return failure('ProfileInvalid', `${file} is not a DuckDB database; correct \`path\` in profiles.yml`)
  }
  return failure('WarehouseFailed', `DuckDB could not work on ${file}: ${text}`)
}

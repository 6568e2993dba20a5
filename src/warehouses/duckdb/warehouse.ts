// DuckDB: the warehouse file, attached to the engine that holds the typed rows. Nothing stays open between activities.
import { mkdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { failure } from '../../pipeline/failure.ts'
import { quoteName, quoteText, type Engine } from '../../platform/duckdb.ts'
import { commitLoad, keepRejects } from '../sql/commit.ts'
import { currentLoad, loadedFiles, rememberedContract } from '../sql/ledger.ts'
import { measureMart } from '../sql/marts.ts'
import { publish } from '../sql/publish.ts'
import { lastGoodMarts, readRefreshLog, recordRefresh } from '../sql/refresh-log.ts'
import { readRejects } from '../sql/rejects.ts'
import type { Warehouse, WarehouseAccess } from '../warehouse.ts'
import type { DuckdbAddress } from './address.ts'
import { asDuckdbFailure } from './failure.ts'
import { fillLiveTable, writeCopy } from './publish.ts'
import { requireFreeSpace } from './free-space.ts'
import { duckdbRows } from './rows.ts'
import { duckdbSession, inTransaction } from './session.ts'
import type { DuckdbSettings } from './settings.ts'

type GrantedByProfile = Pick<DuckdbSettings, 'engineSettings' | 'attached' | 'unsupportedAttached'>

const NOTHING_GRANTED: GrantedByProfile = { engineSettings: {}, attached: [], unsupportedAttached: [] }

/**
 * Files that are attached in this process. The driver would open one twice and then lose rows (and release the lock of
 * the first), so a second one waits: an attempt that timed out may still be at work beside its retry.
 */
const inUse = new Map<string, Promise<void>>()

export async function openDuckdb(
  address: DuckdbAddress,
  engine: Engine,
  access: WarehouseAccess = 'write',
  granted: GrantedByProfile = NOTHING_GRANTED,
): Promise<Warehouse> {
  const release = await takeTurn(address.file)
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw asDuckdbFailure(error, address.file)
    }
  }
  try {
    await guarded(async () => {
      for (const [name, value] of Object.entries(granted.engineSettings))
        await engine.run(`SET ${name} = ${quoteText(value)}`)
      if (access === 'write') await mkdir(path.dirname(address.file), { recursive: true })
      else await requireThere(address.file)
      const options = access === 'write' ? '' : ' (READ_ONLY)'
      await engine.run(`ATTACH ${quoteText(address.file)} AS ${quoteName(address.database)}${options}`)
    })
  } catch (error) {
    release()
    throw error
  }
  const session = duckdbSession(engine, address.database, granted)
  const rows = duckdbRows(session, engine)
  const whole = <T>(work: () => Promise<T>) => guarded(() => inTransaction(engine, work))
  return {
    currentLoad: (table, batchId) => guarded(() => currentLoad(session, table, batchId)),
    loadedFiles: (table, owner) => guarded(() => loadedFiles(session, table, owner)),
    rememberedContract: (table, owner) => guarded(() => rememberedContract(session, table, owner)),
    async commitLoad(load, accept) {
      const inputBytes = load.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      await requireFreeSpace(address.file, inputBytes)
      return await whole(() => commitLoad(session, load, rows, accept))
    },
    keepRejects: (load) => whole(() => keepRejects(session, load, rows)),
    readRejects: (table, owner) => readRejects(session, table, owner),
    measureMart: (check) => guarded(() => measureMart(session, check)),
    publish: async (publication) => {
      const marts = await whole(() =>
        publish(session, publication, (table) => fillLiveTable(session, address.database, table)),
      )
      const { copyTo, to } = publication
      if (copyTo !== null) await guarded(() => writeCopy(engine, address.database, to, copyTo))
      return marts
    },
    recordRefresh: (table, row) => whole(() => recordRefresh(session, table, row)),
    lastGoodMarts: (table, of) => guarded(() => lastGoodMarts(session, table, of)),
    readRefreshLog: (table, range) => guarded(() => readRefreshLog(session, table, range)),
    // Its queries live in the processes that asked them, and end with those.
    endLeftovers: () => Promise.resolve(0),
    estimateBytes: () => Promise.resolve(null),
    bytesBilled: () => null,
    async close() {
      try {
        await guarded(() => engine.run(`DETACH ${quoteName(address.database)}`))
      } finally {
        release()
      }
    },
  }
}

async function requireThere(file: string): Promise<void> {
  if ((await stat(file).catch(() => undefined)) !== undefined) return
  throw failure('WarehouseFailed', `${file} is not there yet: nothing was loaded into this warehouse so far`)
}

async function takeTurn(file: string): Promise<() => void> {
  const before = inUse.get(file) ?? Promise.resolve()
  const { promise: over, resolve: release } = Promise.withResolvers<void>()
  inUse.set(
    file,
    before.then(() => over),
  )
  await before
  return release
}

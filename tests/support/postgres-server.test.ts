// What tests rely on in their Postgres server: real, empty, and gone afterwards.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Client } from 'pg'
import { expect, test, vi } from 'vitest'
import { isAlive } from '../../src/platform/subprocess.ts'
import { startPostgres, usePostgres, withClient } from './postgres-server.ts'

const postgres = usePostgres()

test('each test gets an empty database of its own, behind a password', async () => {
  const [one, other] = [await postgres().freshDatabase(), await postgres().freshDatabase()]
  await withClient(one, (client) => client.query('create table seen (id int)'))

  expect(other.dbname).not.toBe(one.dbname)
  await expect(withClient(other, (client) => client.query('select * from seen'))).rejects.toMatchObject({
    code: '42P01',
  })
  await expect(withClient({ ...one, password: 'x' }, async () => undefined)).rejects.toMatchObject({ code: '28P01' })
})

test('a stopped server leaves neither data nor a listener', async () => {
  const server = await startPostgres()
  const database = await server.freshDatabase()
  const folder = await withClient(database, dataFolder)
  await server.stop()

  expect(existsSync(folder)).toBe(false)
  await expect(withClient(database, async () => undefined)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('a server whose test process is killed goes with it', { timeout: 30_000 }, async () => {
  const module = fileURLToPath(new URL('postgres-server.ts', import.meta.url))
  const holder = spawn(process.execPath, ['--input-type=module', '-e', holding(module)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(holder.stdout, 'data')) as [Buffer]
  const { folder, pid } = JSON.parse(line.toString()) as { folder: string; pid: number }
  expect(existsSync(folder)).toBe(true)
  holder.kill('SIGKILL')

  await vi.waitUntil(() => !existsSync(folder), { timeout: 10_000 })
  await vi.waitUntil(() => !isAlive(pid), { timeout: 10_000 })
})

async function dataFolder(client: Client): Promise<string> {
  const { rows } = await client.query<{ data_directory: string }>('show data_directory')
  return rows[0]?.data_directory ?? ''
}

/** A program that starts a server, tells where it is, and waits to be killed. */
function holding(module: string): string {
  return `
    const { startPostgres, withClient } = await import(${JSON.stringify(module)})
    const database = await (await startPostgres()).freshDatabase()
    const { rows } = await withClient(database, (client) =>
      client.query("select current_setting('data_directory') as folder, pg_backend_pid() as backend"))
    const { readFileSync } = await import('node:fs')
    const pid = Number(readFileSync(rows[0].folder + '/postmaster.pid', 'utf8').split('\\n')[0])
    console.log(JSON.stringify({ folder: rows[0].folder, pid }))
    setInterval(() => undefined, 1000)`
}

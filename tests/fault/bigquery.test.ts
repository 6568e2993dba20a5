// Connections to BigQuery that break at the worst moments: what was accepted is taken up again, and what failed leaves the
// batch wholly old or wholly new.
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { useBigQuery } from '../support/bigquery-emulator.ts'
import type { CuttingHttpProxy, HttpMoment } from '../support/cutting-http-proxy.ts'
import { makeProxy, makeRoot, NEW, OLD, only, prepare, remains, requireLoaded, requireTidy } from './load-rounds.ts'
import { bigquerySite, type LoadSite } from './load-sites.ts'
import { loadOnce } from './one-load.ts'

/** As many tries as ever, without the waiting between them. */
vi.mock(import('../../src/platform/bigquery/retry.ts'), async (original) => ({
  ...(await original()),
  RETRY_RULES: { tries: 8, firstDelayMs: 1, longestDelayMs: 5 },
}))

/** `npm run test:fault` asks for more. */
const ROUNDS = Number(process.env['MILLRACE_FAULT_ROUNDS'] ?? 1)

const bigquery = useBigQuery()
let root: string
let proxy: CuttingHttpProxy
let site: LoadSite
beforeEach(async () => {
  root = await makeRoot()
  const place = bigquery().freshProject()
  proxy = await makeProxy(place)
  site = bigquerySite(place, proxy.endpoint)
  await prepare(root, site)
})

const load = (attempt: number) => loadOnce({ root, kind: 'bigquery', runId: 'run 2', attempt })

type Case = readonly [name: string, moment: HttpMoment, adopted: string | undefined]

const CUTS: readonly Case[] = [
  ['as an upload begins', { route: 'POST /upload', job: 'millrace_rows', when: 'its answer is lost' }, undefined],
  [
    'in the middle of an upload',
    { route: 'PUT /upload', job: 'millrace_rows', when: 'in the middle of its body' },
    undefined,
  ],
  [
    'once the load job was accepted',
    { route: 'PUT /upload', job: 'millrace_rows', when: 'its answer is lost' },
    'millrace_rows',
  ],
  ['before the commit arrives', { route: 'POST /jobs', job: 'millrace_commit', when: 'before it arrives' }, undefined],
  [
    'once the commit was accepted',
    { route: 'POST /jobs', job: 'millrace_commit', when: 'its answer is lost' },
    'millrace_commit',
  ],
  [
    'while the commit is waited for',
    { route: 'GET /jobs', job: 'millrace_commit', when: 'its answer is lost' },
    undefined,
  ],
  ["at the commit's result", { route: 'GET /queries', job: 'millrace_commit', when: 'its answer is lost' }, undefined],
]

test.each(repeated(CUTS))(
  'a connection that is cut %s costs nothing: the batch is loaded once',
  async (_name, moment, adopted) => {
    proxy.cutAt(moment)

    requireLoaded(await load(1))

    expect(proxy.hasCut()).toBe(true)
    expect(proxy.refused().map(purposeOf)).toEqual(adopted === undefined ? [] : [adopted])
    expect(await remains(site)).toEqual(only(NEW))
    await requireTidy(site)
  },
)

describe('a service that stays away', () => {
  const OUTAGES: readonly (readonly [name: string, moment: HttpMoment, leaves: 'old' | 'new'])[] = [
    [
      'in the middle of an upload',
      { route: 'PUT /upload', job: 'millrace_rows', when: 'in the middle of its body' },
      'old',
    ],
    ['before the commit arrives', { route: 'POST /jobs', job: 'millrace_commit', when: 'before it arrives' }, 'old'],
    [
      'once the commit was accepted',
      { route: 'POST /jobs', job: 'millrace_commit', when: 'its answer is lost' },
      'new',
    ],
  ]

  test.each(repeated(OUTAGES))(
    '%s fails the load as that, and the next attempt brings the batch once',
    async (_name, moment, leaves) => {
      proxy.goAwayAt(moment)

      await expect(load(1)).rejects.toMatchObject({
        type: 'WarehouseUnreachable',
        message: expect.stringMatching(
          /^BigQuery \([\w-]+\.analytics\) does not answer: .*\. Check the network and api_endpoint \(http:/,
        ),
      })

      await proxy.quiet()
      expect(await remains(site)).toEqual(only(leaves === 'old' ? OLD : NEW))
      proxy.restore()
      requireLoaded(await load(2))
      expect(await remains(site)).toEqual(only(NEW))
      if (leaves === 'old') await requireTidy(site)
    },
  )
})

function repeated<T>(cases: readonly T[]): readonly T[] {
  return Array.from({ length: ROUNDS }).flatMap(() => cases)
}

function purposeOf(jobId: string): string {
  return jobId.replace(/_[0-9a-f]{32}$/, '')
}

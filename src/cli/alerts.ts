// `millrace alerts test`: one message on each channel, from the worker that would send the real ones.
import { randomBytes } from 'node:crypto'
import { alertSettings } from '../activities/alerts.ts'
import { failure } from '../pipeline/failure.ts'
import type { alert } from '../workflows/alert.ts'
import type { Cli } from './cli.ts'
import { hasWorker } from './start-run.ts'
import { color, pad, say } from './terminal.ts'

/** What may still come through is tried for so long. */
const GIVE_UP_MS = 20_000
const CHANNEL_WIDTH = 8

export interface AlertsTestFlags {
  readonly target?: string
  readonly json: boolean
}

/** 0 when every channel took it, 1 when one did not. Fails with RequestInvalid where the pipeline has no alerts, or no worker is up. */
export async function alertsTestCommand(cli: Cli, pipeline: string, flags: AlertsTestFlags): Promise<number> {
  const { alerts, target } = await alertSettings(cli.workspace, pipeline, flags.target ?? null)
  if (alerts === null) {
    throw failure(
      'RequestInvalid',
      `pipeline '${pipeline}' sends no alerts; add to pipelines/${pipeline}.yml: alerts: { on: [failed, recovered], email: [name@example.org] }`,
    )
  }
  const { taskQueue } = cli.environment
  const connected = await cli.connect()
  try {
    if (!(await hasWorker(connected, taskQueue))) {
      throw failure(
        'RequestInvalid',
        `no worker serves ${taskQueue}, and a worker sends alerts; start one: npm run worker`,
      )
    }
    const { deliveries } = await connected.client.workflow.execute<typeof alert>('alert', {
      taskQueue,
      workflowId: ['alert-test', taskQueue, pipeline, randomBytes(3).toString('hex')].join('/'),
      args: [
        { pipeline, target, settings: { ...alerts, giveUpMs: GIVE_UP_MS, retryMs: 1_000 }, events: [], test: true },
      ],
      staticSummary: `alerts test · ${pipeline} · ${target}`,
    })
    if (flags.json) say(JSON.stringify({ pipeline, target, deliveries }))
    else {
      say(
        ...deliveries.map(({ channel, outcome, detail }) =>
          outcome === 'delivered'
            ? `${color.green('✔')} ${pad(channel, CHANNEL_WIDTH)}${detail}`
            : `${color.red('✖')} ${pad(channel, CHANNEL_WIDTH)}${outcome}: ${detail}`,
        ),
      )
    }
    return deliveries.every(({ outcome }) => outcome === 'delivered') ? 0 : 1
  } finally {
    await connected.connection.close()
  }
}

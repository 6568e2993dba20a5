// What the alert workflow asks of a worker: to read whom to tell, and to tell them. Only here are the secrets of the channels read.
import path from 'node:path'
import { sendEmail, smtpSettings, type SentEmail } from '../alerts/email.ts'
import type { AlertPlace } from '../alerts/message.ts'
import { sendSlack, slackSettings } from '../alerts/slack.ts'
import { profileLocation } from '../dbt/profile-location.ts'
import { listTargets } from '../dbt/profile.ts'
import type { AlertMessage, PlannedAlerts } from '../pipeline/alert-state.ts'
import { planAlerts } from '../pipeline/alerts.ts'
import { listPipelines, loadPipeline } from '../pipeline/load.ts'
import { readAlertEnvironment } from '../platform/environment.ts'
import { REPORT_FILE } from '../platform/run-folders.ts'
import { runFolder, type Workspace } from '../platform/workspace.ts'
import type { ActivityDeps } from './context.ts'

export interface AlertSettings {
  /** Null where the pipeline is gone, or wants none. */
  readonly alerts: PlannedAlerts | null
  readonly target: string
}

/** For runs that could not be planned, and before a reminder. Fails with PipelineInvalid. */
export function createReadAlerts({ workspace }: ActivityDeps) {
  return async function readAlerts(asked: { pipeline: string; target: string | null }): Promise<AlertSettings> {
    const known = await listPipelines(workspace.pipelinesDir)
    if (!known.includes(asked.pipeline)) return { alerts: null, target: asked.target ?? '' }
    return await alertSettings(workspace, asked.pipeline, asked.target)
  }
}

/** Where no target is named: the profile's own, as a run would take it. Fails with PipelineUnknown or PipelineInvalid. */
export async function alertSettings(
  workspace: Workspace,
  pipeline: string,
  target: string | null,
): Promise<AlertSettings> {
  const definition = await loadPipeline(workspace.pipelinesDir, pipeline)
  const alerts = planAlerts(definition.alerts) ?? null
  if (target !== null) return { alerts, target }
  // The profile may be the very reason why a run could not be planned.
  const usual = await listTargets(profileLocation(definition, workspace.root)).catch(() => undefined)
  return { alerts, target: usual?.default ?? Object.values(definition.schedules)[0]?.target ?? 'default' }
}

/** Fails with AlertRefused, or with AlertNotDelivered, which Temporal tries again. */
export function createSendEmail(deps: ActivityDeps) {
  return async function sendEmailActivity({
    message,
    to,
  }: {
    message: AlertMessage
    to: readonly string[]
  }): Promise<SentEmail> {
    return await sendEmail(message, to, smtpSettings(readAlertEnvironment()), placeOf(deps))
  }
}

/** Fails with AlertRefused, or with AlertNotDelivered, which Temporal tries again. */
export function createSendSlack(deps: ActivityDeps) {
  return async function sendSlackActivity({
    message,
    channel,
  }: {
    message: AlertMessage
    channel: string
  }): Promise<{ to: string }> {
    return await sendSlack(message, channel, slackSettings(readAlertEnvironment()), placeOf(deps))
  }
}

function placeOf({ workspace, runLink }: ActivityDeps): AlertPlace {
  return {
    runLink: runLink ?? (() => undefined),
    reportPath: (workflowId, runId) =>
      path.relative(workspace.root, path.join(runFolder(workspace, workflowId, runId), REPORT_FILE)),
  }
}

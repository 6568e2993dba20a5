// Why a message was not sent: for good, or for now. The two ways in which a channel may fail.
import { ApplicationFailure } from '@temporalio/common'
import { failure, type FailureType } from '../pipeline/failure.ts'
import { redactor } from '../platform/redaction.ts'

/** Trying again cannot help; somebody has to correct something. */
export function refused(message: string, secrets: readonly string[] = []): ApplicationFailure {
  return failure('AlertRefused', redactor(secrets)(message))
}

/** Tried again by Temporal, unlike a run's work: after the delay, where the other side names one. */
export function notDelivered(
  message: string,
  secrets: readonly string[] = [],
  delayMs: number | null = null,
): ApplicationFailure {
  const { message: text } = failure('AlertNotDelivered', redactor(secrets)(message))
  return ApplicationFailure.create({
    type: 'AlertNotDelivered' satisfies FailureType,
    message: text,
    nonRetryable: false,
    ...(delayMs === null ? {} : { nextRetryDelay: Math.min(delayMs, LONGEST_DELAY_MS) }),
  })
}

const LONGEST_DELAY_MS = 600_000

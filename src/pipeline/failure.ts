// The closed list of reasons why work fails, and how one of them travels through Temporal.
import { ActivityFailure, ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/common'

/**
 * Every failure type, and whether doing the same work again can help. `retries` in a pipeline file counts only failures
 * of a type marked `retry`, and the first of a type marked `once`; the others end the step at once.
 */
const FAILURES = {
  PipelineUnknown: 'final',
  PipelineInvalid: 'final',
  RequestInvalid: 'final',
  TargetUnknown: 'final',
  ProfileMissing: 'final',
  ProfileInvalid: 'final',
  WarehouseUnsupported: 'final',
  FileMissing: 'final',
  FileRefused: 'final',
  FileChanged: 'retry',
  SourceUnconfigured: 'final',
  SourceUnreachable: 'retry',
  SourceThrottled: 'final',
  SourceRefused: 'final',
  SourceInvalid: 'final',
  HeaderMismatch: 'final',
  RejectsOverLimit: 'final',
  ContractUnknown: 'final',
  ContractChanged: 'final',
  CountsDisagree: 'final',
  WarehouseBusy: 'retry',
  WarehouseFailed: 'retry',
  WarehouseUnreachable: 'retry',
  WarehouseAuth: 'final',
  WarehouseQuota: 'final',
  BudgetExceeded: 'final',
  DiskFull: 'final',
  DbtMissing: 'final',
  DbtProjectInvalid: 'final',
  DbtNothingSelected: 'final',
  DbtNodesFailed: 'final',
  DbtTestsFailed: 'final',
  DbtTransient: 'retry',
  DbtResources: 'final',
  DbtQuota: 'final',
  DbtAuth: 'final',
  DbtUnknown: 'once',
  DbtPackagesFailed: 'retry',
  DbtKilled: 'retry',
  DbtVerdictDisagrees: 'final',
  MartUnknown: 'final',
  MartsFailed: 'final',
  PublishRefused: 'final',
  AlertRefused: 'final',
  AlertNotDelivered: 'retry',
  LeaseTaken: 'final',
  BackfillFailed: 'final',
  RunTimedOut: 'final',
  RunCancelled: 'final',
  ServerUnreachable: 'final',
  StepTimedOut: 'retry',
  StepLost: 'final',
  Internal: 'final',
} as const satisfies Record<string, 'retry' | 'once' | 'final'>

export type FailureType = keyof typeof FAILURES

/** A failure as reports, the refresh log and alerts carry it. */
export interface FailureInfo {
  readonly type: FailureType
  readonly message: string
}

/** Longest message in bytes that goes into a history: Temporal cuts activity failures at 4 KiB with their wrapping. */
const MESSAGE_LIMIT_BYTES = 1024

/**
 * The one way to fail. The message says what happened, to which thing, and what to do next. Non-retryable for Temporal
 * always: Temporal's own retries are for lost workers, repeated work is counted by the workflow (attempt.ts). Foreign
 * errors are not handed on as causes: their texts may hold command lines or secrets.
 */
export function failure(type: FailureType, message: string, details: unknown[] = []): ApplicationFailure {
  return ApplicationFailure.create({ type, message: clipMessage(message), nonRetryable: true, details })
}

/** The same failure without a stack, for Temporal's histories: folders of a machine are nobody's business there. */
export function withoutStack<Failure extends Error>(error: Failure): Failure {
  error.stack = ''
  return error
}

export function isFailureType(text: string | undefined | null): text is FailureType {
  return text !== undefined && text !== null && Object.hasOwn(FAILURES, text)
}

/** How many retries make sense at most. */
export function retriesWorthwhile(type: FailureType): number {
  return { retry: Infinity, once: 1, final: 0 }[FAILURES[type]]
}

export function canRetryHelp(type: FailureType): boolean {
  return retriesWorthwhile(type) > 0
}

/** What a failure of our own carries beside its message; undefined where it carries nothing. */
export function failureDetail(error: unknown): unknown {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error.details?.[0]
  return error instanceof ActivityFailure ? failureDetail(error.cause) : undefined
}

/** What a caught error means: our own failures keep their type, lost workers and cancellation get theirs. */
export function describeFailure(error: unknown): FailureInfo {
  if (error instanceof ApplicationFailure) {
    const type = isFailureType(error.type) ? error.type : 'Internal'
    return { type, message: error.message }
  }
  if (error instanceof CancelledFailure) return { type: 'RunCancelled', message: 'the run was cancelled' }
  if (error instanceof TimeoutFailure) {
    return {
      type: 'StepLost',
      message: `no worker finished it in time (${error.timeoutType}); look at the worker's log and start the run again`,
    }
  }
  if (error instanceof ActivityFailure && error.cause !== undefined) return describeFailure(error.cause)
  return { type: 'Internal', message: error instanceof Error ? error.message : String(error) }
}

function clipMessage(message: string): string {
  const bytes = new TextEncoder().encode(message)
  if (bytes.length <= MESSAGE_LIMIT_BYTES) return message
  // Keep the end too: that is where the advice stands.
  const decode = (part: Uint8Array) => new TextDecoder().decode(part).replaceAll('\uFFFD', '')
  return `${decode(bytes.subarray(0, 700))} […] ${decode(bytes.subarray(bytes.length - 300))}`
}

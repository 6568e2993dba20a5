// Beats while an activity works, from a timer: the work itself may be silent for minutes.
import { Context } from '@temporalio/activity'
import { CancelledFailure } from '@temporalio/common'
import type { Progress } from '../pipeline/report.ts'

const BEAT_EVERY_MS = 1_000

/** The progress, or a function that tells it: it is asked once a beat. */
export type Show = (progress: Progress | (() => Progress)) => void

/**
 * Runs the work with a heartbeat per second that carries the latest progress. The work gets a function that sets it
 * and the signal that aborts when the run is cancelled or this worker shuts down.
 */
export async function withHeartbeat<T>(work: (show: Show, abort: AbortSignal) => Promise<T>): Promise<T> {
  const context = Context.current()
  // What an earlier attempt told stands until this one has something to say.
  let latest = context.info.heartbeatDetails as Progress | (() => Progress) | undefined
  const beat = () => context.heartbeat(typeof latest === 'function' ? latest() : latest)
  beat()
  const timer = setInterval(beat, BEAT_EVERY_MS)
  try {
    return await work((progress) => {
      latest = progress
    }, context.cancellationSignal)
  } catch (error) {
    // Temporal must see its own CancelledFailure, whatever else the interrupted work threw.
    if (error instanceof CancelledFailure) throw error
    context.cancellationSignal.throwIfAborted()
    throw error
  } finally {
    clearInterval(timer)
  }
}

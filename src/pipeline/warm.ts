// What a warm step asks for, and how it was answered. Pure: workflows import it.

/** What the step asks for. `baseUrl` may still hold `${VAR:-default}`: only the activity knows the environment. */
export interface WarmWork {
  readonly baseUrl: string
  readonly paths: readonly string[]
  /** Of one request. */
  readonly timeoutMs: number
  /** How often a path that was not answered with 200 is asked for again, and how long after. */
  readonly retries: number
  readonly retryDelayMs: number
}

/** One path, and how it was answered. */
export interface WarmedUrl {
  readonly path: string
  /** Null where no answer came. */
  readonly status: number | null
  /** `200`, `500`, `connection refused`, `no answer within 10 s` … */
  readonly answer: string
  /** Of the last request. */
  readonly durationMs: number
  readonly attempts: number
}

export function isWarm({ status }: WarmedUrl): boolean {
  return status === 200
}

/** `4 of 4 warm`, or what those that are not were answered. */
export function warmedText(warmed: readonly WarmedUrl[]): string {
  const cold = warmed.filter((url) => !isWarm(url)).map(({ path, answer }) => `${path} ${answer}`)
  return [`${warmed.length - cold.length} of ${warmed.length} warm`, ...cold].join(' · ')
}

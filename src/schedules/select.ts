// Which schedules somebody means who names schedules, pipelines or groups.
import { failure } from '../pipeline/failure.ts'
import { didYouMean } from '../pipeline/near-match.ts'

/** What a name can be of. */
export interface NamedSchedule {
  readonly id: string
  readonly pipeline: string
  readonly group: string | undefined
}

/** The groups that `both` stands for. */
const BOTH = ['main', 'phase2'] as const

/**
 * Those that any of the names means: an id, a pipeline, a group, or `both` groups. All of them where there is no name.
 * Fails with RequestInvalid, telling of every name that means none.
 */
export function selectSchedules<Schedule extends NamedSchedule>(
  schedules: readonly Schedule[],
  names: readonly string[],
): Schedule[] {
  if (names.length === 0) return [...schedules]
  const wanted = names.flatMap((name) => (name === 'both' ? BOTH : [name]))
  const means = (name: string, { id, pipeline, group }: NamedSchedule) => [id, pipeline, group].includes(name)
  const unknown = wanted.filter((name) => !schedules.some((schedule) => means(name, schedule)))
  if (unknown.length > 0) {
    const known = [
      ...new Set(schedules.flatMap(({ id, pipeline, group }) => [id, pipeline, group ?? []].flat())),
    ].sort()
    const problems = unknown.map(
      (name) => `there is no schedule, pipeline with schedules, or group '${name}'${didYouMean(name, known)}`,
    )
    throw failure('RequestInvalid', `${problems.join('; ')}; there are: ${known.join(', ') || 'none'}`)
  }
  return schedules.filter((schedule) => wanted.some((name) => means(name, schedule)))
}

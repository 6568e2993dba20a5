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
 * Fails with RequestInvalid, telling of every name that means none, or one thing as a pipeline and another as a group.
 */
export function selectSchedules<Schedule extends NamedSchedule>(
  schedules: readonly Schedule[],
  names: readonly string[],
): Schedule[] {
  if (names.length === 0) return [...schedules]
  const wanted = names.flatMap((name) => (name === 'both' ? BOTH : [name]))
  const means = (name: string, { id, pipeline, group }: NamedSchedule) => [id, pipeline, group].includes(name)
  const unknown = wanted.filter((name) => !schedules.some((schedule) => means(name, schedule)))
  const unclear = names.flatMap((name) => twoMeanings(schedules, name))
  if (unknown.length > 0 || unclear.length > 0) {
    const known = [
      ...new Set(schedules.flatMap(({ id, pipeline, group }) => [id, pipeline, group ?? []].flat())),
    ].sort()
    const problems = [
      ...unclear,
      ...unknown.map(
        (name) => `there is no schedule, pipeline with schedules, or group '${name}'${didYouMean(name, known)}`,
      ),
    ]
    throw failure('RequestInvalid', `${problems.join('; ')}; there are: ${known.join(', ') || 'none'}`)
  }
  return schedules.filter((schedule) => wanted.some((name) => means(name, schedule)))
}

/** Why a name is no help, where it is of a pipeline and of a group that has other schedules. */
function twoMeanings(schedules: readonly NamedSchedule[], name: string): string[] {
  const idsOf = (is: (schedule: NamedSchedule) => boolean) => schedules.filter(is).map(({ id }) => id)
  const ofPipeline = idsOf(({ pipeline }) => pipeline === name)
  const ofGroup = idsOf(({ group }) => group === name || (name === 'both' && BOTH.some((each) => each === group)))
  const isSame = ofPipeline.join(' ') === ofGroup.join(' ')
  if (ofPipeline.length === 0 || ofGroup.length === 0 || isSame) return []
  return [
    `'${name}' is a pipeline (${ofPipeline.join(', ')}) and a group (${ofGroup.join(', ')}): give the ids that you mean, ` +
      'or give the group another name',
  ]
}

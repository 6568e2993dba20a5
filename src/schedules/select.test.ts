import { describe, expect, test } from 'vitest'
import { selectSchedules } from './select.ts'

const schedule = (id: string, group?: string) => ({ id, pipeline: id.split('.')[0] ?? '', group })
const idsOf = (schedules: Parameters<typeof selectSchedules>[0], ...names: string[]) =>
  selectSchedules(schedules, names).map(({ id }) => id)

const SCHEDULES = [
  schedule('daily.nightly'),
  schedule('dbt-refresh.often', 'main'),
  schedule('phase2-dashboards.three-hourly', 'phase2'),
]

test('a name means a schedule, the schedules of a pipeline, or those of a group; none means all', () => {
  expect(idsOf(SCHEDULES)).toEqual(SCHEDULES.map(({ id }) => id))
  expect(idsOf(SCHEDULES, 'daily.nightly')).toEqual(['daily.nightly'])
  expect(idsOf(SCHEDULES, 'daily', 'main')).toEqual(['daily.nightly', 'dbt-refresh.often'])
  expect(idsOf(SCHEDULES, 'both')).toEqual(['dbt-refresh.often', 'phase2-dashboards.three-hourly'])
})

test('every name that means nothing is told', () => {
  expect(() => idsOf(SCHEDULES, 'mian', 'daily', 'weekly')).toThrow(/'mian' \(did you mean 'main'\?\).*'weekly'/)
})

describe('a name of a pipeline and of a group', () => {
  test('is refused with what it could mean, and what to do', () => {
    const unclear = [schedule('main.hourly'), ...SCHEDULES]
    expect(() => idsOf(unclear, 'main')).toThrow(
      "'main' is a pipeline (main.hourly) and a group (dbt-refresh.often): give the ids that you mean, or give the group another name",
    )
    expect(() => idsOf([schedule('both.hourly'), ...SCHEDULES], 'both')).toThrow(/'both' is a pipeline/)
    expect(() => idsOf(unclear, 'main', 'weekly')).toThrow(/'main' is a pipeline.*group 'weekly'/)
    expect(idsOf(unclear, 'main.hourly')).toEqual(['main.hourly'])
  })

  test('is fine where it means the same', () => {
    expect(idsOf([schedule('phase2.three-hourly', 'phase2')], 'phase2')).toEqual(['phase2.three-hourly'])
  })
})

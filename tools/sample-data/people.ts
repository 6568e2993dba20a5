// Who watches: people with a country, a clock, a few devices and a habit.

import { between, chance, createRandom, weightedPicker, type Random } from './random.ts'

export type Device = 'tv' | 'mobile' | 'tablet' | 'web' | 'console'

export type Person = {
  readonly userId: string
  readonly country: string | null // null: the platform does not know it
  readonly utcOffsetMinutes: number
  readonly devices: readonly Device[]
  readonly activeShare: number // of days
  readonly reportsCampaigns: boolean // false: an app version from before campaigns
}

type Country = { readonly code: string; readonly share: number; readonly utcOffsetMinutes: number }

const countries: readonly Country[] = [
  { code: 'FR', share: 30, utcOffsetMinutes: 60 },
  { code: 'DE', share: 14, utcOffsetMinutes: 60 },
  { code: 'GB', share: 12, utcOffsetMinutes: 0 },
  { code: 'US', share: 9, utcOffsetMinutes: -300 },
  { code: 'ES', share: 8, utcOffsetMinutes: 60 },
  { code: 'JP', share: 7, utcOffsetMinutes: 540 },
  { code: 'BR', share: 6, utcOffsetMinutes: -180 },
  { code: 'IN', share: 5, utcOffsetMinutes: 330 },
  { code: 'NO', share: 4, utcOffsetMinutes: 60 }, // Norway, which YAML 1.1 reads as false
  { code: 'KR', share: 3, utcOffsetMinutes: 540 },
  { code: 'NA', share: 2, utcOffsetMinutes: 120 }, // Namibia, which some readers take for "not available"
]

const peopleCount = 2_400
const pickCountry = weightedPicker(countries, ({ share }) => share)
const pickDevices = weightedPicker<readonly [share: number, devices: readonly Device[]]>(
  [
    [34, ['tv', 'mobile']],
    [20, ['tv']],
    [18, ['mobile']],
    [12, ['web', 'mobile']],
    [8, ['tablet', 'tv']],
    [5, ['console']],
    [3, ['tv', 'tablet', 'mobile', 'web']],
  ],
  ([share]) => share,
)

function createPerson(random: Random, number: number): Person {
  const country = pickCountry(random)
  return {
    userId: String(number).padStart(6, '0'),
    country: chance(random, 0.02) ? null : country.code,
    utcOffsetMinutes: country.utcOffsetMinutes,
    devices: pickDevices(random)[1],
    activeShare: 0.2 + 0.75 * random() * random() + (chance(random, 0.12) ? 0.1 : 0),
    reportsCampaigns: chance(random, 0.8),
  }
}

function createPeople(): Person[] {
  const random = createRandom('people')
  let number = 0
  return Array.from({ length: peopleCount }, () => createPerson(random, (number += between(random, 1, 75))))
}

export const people: readonly Person[] = createPeople()

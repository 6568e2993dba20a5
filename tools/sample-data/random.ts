// A seeded source of random numbers that gives the same numbers on every machine: 32-bit integer arithmetic (sfc32) and exact divisions only.

export type Random = () => number // in [0, 1)

/** A source of its own for each label, so that a change in one part of the sample data leaves the other parts as they are. */
export function createRandom(label: string): Random {
  let [a, b, c, counter] = [hash(label, 0x811c9dc5), hash(label, 0x9e3779b9), hash(label, 0x85ebca6b), 1]
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return (sum >>> 0) / 2 ** 32
  }
  for (let round = 0; round < 16; round += 1) next()
  return next
}

/** FNV-1a. */
function hash(text: string, start: number): number {
  let value = start
  for (const character of text) value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 0x01000193)
  return value | 0
}

export function chance(random: Random, probability: number): boolean {
  return random() < probability
}

/** A whole number from `low` to `high`, both included. */
export function between(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1))
}

/** `length` hexadecimal digits, leading zeros and all-digit values included, as real exports have them. */
export function hexId(random: Random, length: number): string {
  return Array.from({ length }, () => between(random, 0, 15).toString(16)).join('')
}

export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, order: random() }))
    .toSorted((left, right) => left.order - right.order)
    .map(({ item }) => item)
}

export type Picker<T> = (random: Random) => T

/** Picks an item with a probability in proportion to its weight. Throws when there is nothing to pick from. */
export function weightedPicker<T>(items: readonly T[], weight: (item: T, index: number) => number): Picker<T> {
  let total = 0
  const steps = items.map((item, index) => ({ item, upTo: (total += weight(item, index)) }))
  return (random) => {
    const point = random() * total
    const step = steps.find(({ upTo }) => point < upTo) ?? steps.at(-1)
    if (step === undefined) throw new Error('nothing to pick from')
    return step.item
  }
}

export function pick<T>(random: Random, items: readonly T[]): T {
  return weightedPicker(items, () => 1)(random)
}

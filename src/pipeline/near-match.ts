// "did you mean …" for names that a person mistyped.
import { closest, distance } from 'fastest-levenshtein'

/** ` (did you mean 'x'?)` when a candidate is close enough to be meant, else the empty string. */
export function didYouMean(given: string, candidates: readonly string[]): string {
  if (candidates.length === 0) return ''
  const best = closest(given, candidates)
  const limit = Math.max(2, Math.floor(given.length / 3))
  const steps = distance(given, best)
  // Where no letter is the same, two short words are near only by their length.
  return steps <= limit && steps < Math.max(given.length, best.length) ? ` (did you mean '${best}'?)` : ''
}

// What benchmarks are told on the command line.

/** An argument that says how many. Throws when it does not. */
export function howMany(text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new Error(`'${text}' is not a whole number from 1; see the first lines of the benchmark's file`)
}

// Cron expressions as Temporal reads them: five fields, numbers, names, lists, ranges and steps.

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

interface Field {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly words?: readonly string[]
}

const FIELDS: readonly Field[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of the month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, words: MONTHS },
  { name: 'day of the week', min: 0, max: 7, words: DAYS },
]

/** What is wrong with an expression; undefined when nothing is. */
export function cronProblem(expression: string): string | undefined {
  const parts = expression.split(' ')
  if (parts.length !== FIELDS.length) {
    return 'expected a cron expression of five fields: minute, hour, day of the month, month, day of the week'
  }
  const wrong = FIELDS.find((field, index) => !isField(parts[index] ?? '', field))
  if (wrong === undefined) return undefined
  return `'${parts[FIELDS.indexOf(wrong)]}' is no ${wrong.name} (${wrong.min} to ${wrong.max}) of a cron expression`
}

function isField(text: string, field: Field): boolean {
  return text.split(',').every((item) => {
    const match = /^(?:\*|([a-z]+|\d+)(?:-([a-z]+|\d+))?)(?:\/([1-9]\d*))?$/i.exec(item)
    if (match === null) return false
    const [from, to] = [match[1], match[2]].map((word) => (word === undefined ? undefined : valueOf(word, field)))
    if ((match[1] !== undefined && from === undefined) || (match[2] !== undefined && to === undefined)) return false
    return from === undefined || to === undefined || from <= to
  })
}

function valueOf(word: string, { min, max, words = [] }: Field): number | undefined {
  const named = words.indexOf(word.toLowerCase())
  const value = named === -1 ? Number(word) : named + min
  return value >= min && value <= max ? value : undefined
}

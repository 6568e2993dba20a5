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
  // Temporal takes it for Monday to Saturday (measured, server 1.32).
  if (/-7(?:[,/]|$)/.test(parts[4] ?? '')) {
    return `'${parts[4]}' is no day of the week: a range must not end with 7, because Temporal leaves that Sunday out; write 0-6, or 0 beside it`
  }
  const wrong = FIELDS.find((field, index) => !isField(parts[index] ?? '', field))
  if (wrong === undefined) return undefined
  return `'${parts[FIELDS.indexOf(wrong)]}' is no ${wrong.name} (${wrong.min} to ${wrong.max}) of a cron expression`
}

/** The numbers that each field means; Sunday is 0. */
export interface CronFields {
  readonly minutes: ReadonlySet<number>
  readonly hours: ReadonlySet<number>
  readonly days: ReadonlySet<number>
  readonly months: ReadonlySet<number>
  readonly weekdays: ReadonlySet<number>
}

/** Of an expression that has no problem. */
export function cronFields(expression: string): CronFields {
  const parts = expression.split(' ')
  const [minutes, hours, days, months, weekdays] = FIELDS.map((field, index) => numbersOf(parts[index] ?? '*', field))
  const none = new Set<number>()
  return {
    minutes: minutes ?? none,
    hours: hours ?? none,
    days: days ?? none,
    months: months ?? none,
    weekdays: new Set([...(weekdays ?? none)].map((day) => day % 7)),
  }
}

function numbersOf(text: string, field: Field): Set<number> {
  const numbers = new Set<number>()
  for (const item of text.split(',')) {
    const [range = '', step] = item.split('/')
    const [first = '', last] = range.split('-')
    const from = first === '*' ? field.min : (valueOf(first, field) ?? field.min)
    // `5/10` means from 5 on, `5` only that.
    const open = first === '*' || (step !== undefined && last === undefined)
    const until = open ? field.max : last === undefined ? from : (valueOf(last, field) ?? field.max)
    for (let value = from; value <= until; value += Number(step ?? 1)) numbers.add(value)
  }
  return numbers
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

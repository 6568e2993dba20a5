// What a pipeline file's schema alone cannot say: names that must agree with each other.
import { z } from 'zod'
import { alertProblems } from './alerts.ts'
import { envConflicts } from './dbt-env.ts'
import { resolveDate } from './logical-date.ts'
import { didYouMean } from './near-match.ts'
import { entryId, placeholders } from './request.ts'

/** Workflow types that Millrace itself exports; a pipeline of that name would never be run as one. */
const RESERVED_NAMES = new Set(['lease', 'backfill', 'alert', 'watch'])

/** Steps of the run itself. */
const RESERVED_STEP_NAMES = new Set(['record'])

const scalar = z.union([z.string(), z.number()])
const paramParts = z
  .object({
    type: z.string().catch(''),
    default: scalar.optional().catch(undefined),
    list: z.boolean().catch(false),
  })
  .catch({ type: '', list: false })
const columnNames = z.array(z.object({ name: z.unknown() }))
const texts = z.record(z.string(), z.unknown()).catch({})
const httpParts = z
  .object({ url: z.string().catch(''), params: texts, headers: texts })
  .nullable()
  .catch(null)
const ingestParts = z
  .object({
    into: z.string().catch(''),
    name: z.string().optional().catch(undefined),
    files: z.string().catch(''),
    http: httpParts,
    for_each: z.string().nullable().catch(null),
    add: z.record(z.string(), z.unknown()).catch({}),
    columns: z.union([columnNames, z.object({ list: columnNames.catch([]) })]).catch([]),
  })
  .catch({ into: '', files: '', http: null, for_each: null, add: {}, columns: [] })
const dbtParts = z
  .object({
    vars: z.record(z.string(), z.unknown()).catch({}),
    env: z.record(z.string(), z.unknown()).catch({}),
    event_time: z.record(z.string(), z.unknown()).catch({}),
  })
  .catch({ vars: {}, env: {}, event_time: {} })
const names = z.array(z.string()).catch([])
const validateParts = z
  .array(
    z.object({ mart: z.string().catch(''), max_drop: z.unknown().optional() }).catch({ mart: '', max_drop: undefined }),
  )
  .catch([])
const publishParts = z.object({ marts: names }).nullable().catch(null)
const stepParts = z
  .object({
    name: z.string().nullable().catch(null),
    ingest: z.array(ingestParts).catch([]),
    dbt: dbtParts,
    validate: validateParts,
    publish: publishParts,
  })
  .catch({ name: null, ingest: [], dbt: { vars: {}, env: {}, event_time: {} }, validate: [], publish: null })
const scheduleParts = z.object({ params: z.record(z.string(), scalar.catch('')).catch({}) }).catch({ params: {} })

/** What the cross checks look at, as far as it can be read: a mistake of form must not hide one of meaning. */
const partsSchema = z
  .object({
    name: z.string().nullable().catch(null),
    params: z.record(z.string(), paramParts).catch({}),
    steps: z.array(stepParts).catch([]),
    schedules: z.record(z.string(), scheduleParts).catch({}),
    refresh_log: z.unknown().optional(),
  })
  .catch({ name: null, params: {}, steps: [], schedules: {}, refresh_log: undefined })

/** Everything that does not agree, each with the path of the node to blame. Takes the file as YAML reads it. */
export function crossChecks(content: unknown, expectedName: string): { path: PropertyKey[]; message: string }[] {
  const { name, params: declared, steps, schedules, refresh_log } = partsSchema.parse(content)
  const found: { path: PropertyKey[]; message: string }[] = alertProblems(content)
  if (name !== null && name !== expectedName) {
    found.push({ path: ['name'], message: `name '${name}' must be the file's own, '${expectedName}'` })
  }
  if (name !== null && RESERVED_NAMES.has(name)) {
    found.push({ path: ['name'], message: `'${name}' is a workflow of Millrace itself; choose another name` })
  }
  const params = Object.keys(declared)
  const lists = params.filter((param) => declared[param]?.list)
  for (const [param, { type, default: value }] of Object.entries(declared)) {
    if (value === undefined) continue
    const text = String(value)
    if (type === 'date' && resolveDate(text, 0) === undefined) {
      found.push({ path: ['params', param, 'default'], message: `'${text}' is not yesterday, today or YYYY-MM-DD` })
    }
    if (type === 'int' && !/^-?\d+$/.test(text)) {
      found.push({ path: ['params', param, 'default'], message: `'${text}' is not a whole number` })
    }
  }
  found.push(...envConflicts(steps.map(({ dbt }) => dbt)))
  const entries = new Set<string>()
  const validated: string[] = []
  steps.forEach((step, stepIndex) => {
    validated.push(...step.validate.map(({ mart }) => mart))
    step.validate.forEach(({ max_drop }, index) => {
      if (max_drop === undefined || refresh_log !== undefined) return
      found.push({
        path: ['steps', stepIndex, 'validate', index, 'max_drop'],
        message: 'compares with the last good run in the refresh log; add one (refresh_log: dbt_refresh_log)',
      })
    })
    if (step.publish !== null)
      found.push(...uncheckedMarts(step.publish.marts, validated, ['steps', stepIndex, 'publish']))
    if (step.name !== null && RESERVED_STEP_NAMES.has(step.name)) {
      found.push({
        path: ['steps', stepIndex, 'name'],
        message: `'${step.name}' is a step that every run has; choose another name`,
      })
    }
    const dbtTexts = (['vars', 'env', 'event_time'] as const).flatMap((key) =>
      Object.entries(step.dbt[key]).map(([name, text]) => ({
        path: ['steps', stepIndex, 'dbt', key, name],
        text: String(text),
      })),
    )
    found.push(...unknownPlaceholders(dbtTexts, params), ...listsOutsideForEach(dbtTexts, lists))
    step.ingest.forEach(({ into, name: own, files, http, for_each, add, columns }, entryIndex) => {
      const entry = ['steps', stepIndex, 'ingest', entryIndex]
      const id = entryId({ into, ...(own === undefined ? {} : { name: own }) })
      if (into !== '' && entries.has(id)) {
        found.push({
          path: [...entry, 'into'],
          message: `another entry loads into ${into}; give one of them a name of its own (name: …), so that they do not replace each other's rows`,
        })
      }
      entries.add(id)
      const texts = [
        { path: [...entry, 'files'], text: files },
        ...httpTextsAt([...entry, 'http'], http),
        ...Object.entries(add).map(([column, text]) => ({ path: [...entry, 'add', column], text: String(text) })),
      ]
      found.push(...unknownPlaceholders(texts, params))
      found.push(
        ...listsOutsideForEach(
          texts,
          lists.filter((list) => list !== for_each),
        ),
      )
      if (for_each !== null) found.push(...forEachProblems([...entry, 'for_each'], for_each, lists, texts))
      const list = Array.isArray(columns) ? columns : columns.list
      const place = [...entry, 'columns', ...(Array.isArray(columns) ? [] : ['list'])]
      list.forEach(({ name: column }, index) => {
        if (typeof column !== 'string' || list.findIndex((other) => other.name === column) === index) return
        found.push({ path: [...place, index, 'name'], message: `column '${column}' stands there twice` })
      })
    })
  })
  for (const [schedule, { params: given }] of Object.entries(schedules)) {
    for (const [param, value] of Object.entries(given)) {
      const type = Object.hasOwn(declared, param) ? declared[param]?.type : undefined
      if (type === undefined) {
        found.push({
          path: ['schedules', schedule, 'params', param],
          message: `'${param}' is not a param of this pipeline${didYouMean(param, params)}`,
        })
      } else if (type === 'date' && resolveDate(String(value), 0) === undefined) {
        found.push({ path: ['schedules', schedule, 'params', param], message: `'${String(value)}' is not a date` })
      }
    }
  }
  return found
}

/** Nothing that no step has looked at comes before readers. */
function uncheckedMarts(
  marts: readonly string[],
  validated: readonly string[],
  publish: PropertyKey[],
): { path: PropertyKey[]; message: string }[] {
  if (validated.length === 0) {
    return [
      {
        path: publish,
        message: 'no step before it validates a mart, and what is not checked is not published; add one',
      },
    ]
  }
  return marts.flatMap((mart, index) =>
    validated.includes(mart)
      ? []
      : {
          path: [...publish, 'marts', index],
          message: `no step before it validates '${mart}'${didYouMean(mart, validated)}, and what is not checked is not published`,
        },
  )
}

type TextAt = { readonly path: PropertyKey[]; readonly text: string }

function httpTextsAt(path: PropertyKey[], http: z.output<typeof httpParts>): TextAt[] {
  if (http === null) return []
  return [
    { path: [...path, 'url'], text: http.url },
    ...(['params', 'headers'] as const).flatMap((key) =>
      Object.entries(http[key]).map(([name, text]) => ({ path: [...path, key, name], text: String(text) })),
    ),
  ]
}

/** A param of several values has one only inside an entry that is loaded for each of them. */
function listsOutsideForEach(texts: readonly TextAt[], lists: readonly string[]) {
  return texts.flatMap(({ path, text }) =>
    placeholders(text)
      .filter((used) => lists.includes(used))
      .map((used) => ({
        path,
        message: `{${used}} may be several values; only an entry with \`for_each: ${used}\` can use it`,
      })),
  )
}

function forEachProblems(path: PropertyKey[], param: string, lists: readonly string[], texts: readonly TextAt[]) {
  if (!lists.includes(param)) {
    return [{ path, message: `'${param}' is not a param with \`list: true\`${didYouMean(param, lists)}` }]
  }
  const isUsed = texts.some(({ text }) => placeholders(text).includes(param))
  return isUsed ? [] : [{ path, message: `{${param}} stands nowhere in the entry, so all its loads would be the same` }]
}

/** Each {name} in the texts that is none of the params. */
function unknownPlaceholders(
  texts: readonly { readonly path: PropertyKey[]; readonly text: string }[],
  params: readonly string[],
): { path: PropertyKey[]; message: string }[] {
  return texts.flatMap(({ path, text }) =>
    placeholders(text)
      .filter((used) => !params.includes(used))
      .map((used) => ({ path, message: `{${used}} is not a param of this pipeline${didYouMean(used, params)}` })),
  )
}

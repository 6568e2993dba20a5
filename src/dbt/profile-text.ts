// One text of profiles.yml → its value, rendered as dbt's native Jinja does.
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja'
import { pythonLiteral } from './python-literal.ts'

export type RenderedText =
  | { readonly value: unknown; readonly secrets: readonly string[] }
  /** Variables that are not set and have no default. */
  | { readonly missing: readonly string[] }
  /** `unparsed`: it is not even Jinja by its form. May repeat words of the text, never a variable's value. */
  | { readonly problem: string; readonly unparsed: boolean; readonly variables: readonly string[] }

// The library's own types do not resolve under Node's rules for modules (its imports carry no file endings).
interface JinjaNode {
  readonly type: string
  readonly value?: unknown
  readonly test?: JinjaNode
  readonly body?: readonly JinjaNode[]
  readonly alternate?: readonly JinjaNode[]
  readonly operand?: JinjaNode
  readonly filter?: JinjaNode
  readonly callee?: JinjaNode
  readonly operator?: { readonly value: string }
  readonly argument?: JinjaNode
}
interface JinjaValue {
  readonly type: string
  readonly value: unknown
  toString(): string
}
interface JinjaScope {
  set(name: string, value: unknown): JinjaValue
}
interface JinjaInterpreter {
  evaluate(node: JinjaNode, scope: JinjaScope): JinjaValue
}

/** dbt's own filters; all but as_text read the text as Python would (dbt_common.clients.jinja, NATIVE_FILTERS). */
const TYPE_FILTERS = ['as_text', 'as_native', 'as_bool', 'as_number'] as const
type TypeFilter = (typeof TYPE_FILTERS)[number]

/** dbt puts the values of such variables in after Jinja, so that no filter sees or changes them. */
const SECRET_PREFIX = 'DBT_ENV_SECRET'
const placeholder = (name: string) => `$$$DBT_SECRET_START$$$${name}$$$DBT_SECRET_END$$$`

class WrongType extends Error {}

/**
 * What dbt (1.12) makes of a text: a text, unless the whole text is one expression of another type or one that ends in
 * a filter which sets it. `variable` gives an environment variable's value.
 */
export function renderText(text: string, variable: (name: string) => string | undefined): RenderedText {
  const source = text.replace(/\r?\n$/, '')
  if (!/\{[{%#]/.test(source)) return { value: source, secrets: [] }
  const used = new Map<string, string | undefined>()
  const missing = new Set<string>()
  const lookUp = (...given: unknown[]): unknown => {
    const named = given.at(-1) instanceof Map ? (given.pop() as ReadonlyMap<string, JinjaValue>) : undefined // keywords
    const name = given[0] ?? named?.get('var')?.value
    if (typeof name !== 'string') throw new TypeError('env_var needs the name of a variable')
    const found = variable(name)
    used.set(name, found)
    if (found !== undefined) return name.startsWith(SECRET_PREFIX) ? placeholder(name) : found
    const fallback = given[1] ?? named?.get('default')?.value ?? undefined
    if (fallback === undefined) missing.add(name)
    return fallback ?? ''
  }
  let program: { readonly body: readonly JinjaNode[] } | undefined
  try {
    program = parse(tokenize(source)) as { readonly body: readonly JinjaNode[] } // see above
    const value = evaluate(program.body, lookUp)
    if (missing.size > 0) return { missing: [...missing] }
    const secrets = new Map([...used].filter(([name, found]) => name.startsWith(SECRET_PREFIX) && found !== undefined))
    return { value: withSecrets(value, secrets), secrets: [...secrets.values()].map(String) }
  } catch (error) {
    if (missing.size > 0) return { missing: [...missing] }
    const message = error instanceof Error ? error.message : String(error)
    const problem =
      error instanceof WrongType
        ? message
        : `cannot be read (${message}); a profile may use env_var and Jinja's own filters`
    return { problem, unparsed: program === undefined, variables: [...used.keys()] }
  }
}

function evaluate(body: readonly JinjaNode[], lookUp: (...given: unknown[]) => unknown): unknown {
  const scope = new Environment() as JinjaScope // see above
  const globals = { env_var: lookUp, true: true, True: true, false: false, False: false, none: null, None: null }
  for (const [name, value] of Object.entries(globals)) scope.set(name, value)
  const interpreter = new Interpreter(scope) as JinjaInterpreter // see above
  const marked = new Map<JinjaValue, TypeFilter>()
  // The library takes no filters of others: theirs are met before it looks.
  const library = interpreter.evaluate.bind(interpreter)
  interpreter.evaluate = (node, inner) => {
    const filter = typeFilter(node)
    if (filter === undefined || node.operand === undefined) return library(node, inner)
    const asText = pythonText(interpreter.evaluate(node.operand, inner))
    const value = (new Environment() as JinjaScope).set('text', asText) // see above
    marked.set(value, filter)
    return value
  }
  const found = [...outputs(body, (node) => interpreter.evaluate(node, scope))]
  const [only] = found
  if (only === undefined) return ''
  if (found.length > 1) return found.map(pythonText).join('')
  const filter = marked.get(only)
  return filter === undefined ? plainValue(only) : typed(only, filter)
}

/** Every expression and piece of text that stands at the top, also of the branch that applies. */
function* outputs(nodes: readonly JinjaNode[], value: (node: JinjaNode) => JinjaValue): Generator<JinjaValue> {
  for (const node of nodes) {
    if (node.type === 'If' && node.test !== undefined) {
      const isFalse = value({ type: 'UnaryExpression', operator: { value: 'not' }, argument: node.test }).value
      yield* outputs((isFalse === true ? node.alternate : node.body) ?? [], value)
    } else {
      const found = value(node)
      if (!['Comment', 'Set', 'Macro'].includes(node.type)) yield found
    }
  }
}

function typeFilter({ type, filter }: JinjaNode): TypeFilter | undefined {
  if (type !== 'FilterExpression') return undefined
  const name = filter?.type === 'CallExpression' ? filter.callee?.value : filter?.value
  return TYPE_FILTERS.find((known) => known === name)
}

function typed({ value }: JinjaValue, filter: TypeFilter): unknown {
  const text = String(value)
  const literal = filter === 'as_text' ? undefined : pythonLiteral(text)
  if (filter === 'as_number' && typeof literal?.value !== 'number') {
    throw new WrongType('gives no number, which its filter as_number asks for')
  }
  if (filter === 'as_bool' && typeof literal?.value !== 'boolean') {
    throw new WrongType('gives neither True nor False (as Python writes them), which its filter as_bool asks for')
  }
  return literal === undefined ? text : literal.value
}

function plainValue({ type, value }: JinjaValue): unknown {
  if (type === 'UndefinedValue' || type === 'FunctionValue') throw new Error('a name in it is not known there')
  if (Array.isArray(value)) return (value as JinjaValue[]).map(plainValue) // an ArrayValue's
  if (!(value instanceof Map)) return value
  return Object.fromEntries([...(value as Map<string, JinjaValue>)].map(([key, item]) => [key, plainValue(item)])) // an ObjectValue's
}

/** What Python's str() makes of it. */
function pythonText(value: JinjaValue): string {
  if (value.type === 'UndefinedValue') return ''
  if (value.type === 'NullValue') return 'None'
  if (value.type === 'BooleanValue') return value.value === true ? 'True' : 'False'
  return value.toString()
}

function withSecrets(value: unknown, secrets: ReadonlyMap<string, string | undefined>): unknown {
  if (typeof value === 'string') {
    return [...secrets].reduce((text, [name, secret]) => text.replaceAll(placeholder(name), () => secret ?? ''), value)
  }
  if (Array.isArray(value)) return (value as unknown[]).map((item) => withSecrets(item, secrets))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withSecrets(item, secrets)]))
}

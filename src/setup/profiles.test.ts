// Targets get into a profiles.yml; what somebody else wrote there stays as it is, byte by byte.
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { editProfiles, type ProfilesEdit } from './profiles.ts'
import type { WantedTarget } from './targets.ts'

const wanted = (name: string, threads = 4): WantedTarget => ({
  name,
  settings: { type: 'bigquery', method: 'oauth', project: 'p1', dataset: `analytics_${name}`, threads },
})

const edit = (text: string | undefined, more: Partial<ProfilesEdit> = {}) =>
  editProfiles(text, {
    file: 'profiles.yml',
    profile: 'shop',
    targets: [wanted('dev', 1), wanted('prod')],
    replace: [],
    ...more,
  })

const changes = ({ targets }: ReturnType<typeof edit>) => targets.map(({ name, change }) => `${name} ${change}`)
const outputsOf = (text: string, profile = 'shop') => {
  const content = parse(text, { version: '1.1' }) as Record<string, { outputs: Record<string, unknown> }>
  return content[profile]?.outputs
}

const MARK =
  '# Written by millrace setup-profiles, which keeps it up to date; remove this line to keep the target as it is.'
const NEW_FILE = `shop:
  target: dev
  outputs:
    dev:
      ${MARK}
      type: bigquery
      method: oauth
      project: p1
      dataset: analytics_dev
      threads: 1
    prod:
      ${MARK}
      type: bigquery
      method: oauth
      project: p1
      dataset: analytics_prod
      threads: 4
`

test('a file that is not there is made', () => {
  expect(edit(undefined).text).toBe(NEW_FILE)
  expect(edit('').text).toBe(NEW_FILE)
  expect(changes(edit(undefined))).toEqual(['dev added', 'prod added'])
})

const HAND_MADE = `# mine
shop:
  target: dev
  outputs:
    dev:
      type: duckdb
      path:   "{{ env_var('X', 'a') }}"   # not tidy
`

test('a target of somebody else is kept and told by its type; the others are added behind it', () => {
  const edited = edit(HAND_MADE)
  expect(edited.targets).toEqual([
    { name: 'dev', change: 'kept', type: 'duckdb' },
    { name: 'prod', change: 'added' },
  ])
  expect(edited.text).toBe(HAND_MADE + NEW_FILE.slice(NEW_FILE.indexOf('    prod:')))
})

test('it is replaced when that is asked for, and nothing else', () => {
  const edited = edit(HAND_MADE, { replace: ['dev'] })
  expect(changes(edited)).toEqual(['dev replaced', 'prod added'])
  expect(edited.text).toBe(`# mine\n${NEW_FILE}`)
})

test('a replaced target takes its own comments along, not those of the next one', () => {
  const text = `${HAND_MADE}      # threads: 2\n    # for tests\n    ci:\n      type: duckdb\n`
  const edited = edit(text, { replace: ['dev'], targets: [wanted('dev', 1)] })
  const [ours = ''] = NEW_FILE.split('    prod:')
  expect(edited.text).toBe(`# mine\n${ours}    # for tests\n    ci:\n      type: duckdb\n`)
})

/** Layouts of files that have no target of ours; `¦` marks where the first one goes. */
const LAYOUTS: readonly [string, string][] = [
  ['only comments', '# nothing yet\n¦'],
  ['other profiles', 'other:\n  outputs:\n    dev: { type: duckdb, path: x }\n¦'],
  ['an empty profile', 'shop: # soon\n¦other: 1\n'],
  ['a profile without outputs', 'shop:\n    target: prod\n¦\nother: 1\n'],
  ['empty outputs', 'shop:\n  outputs: # soon\n¦  target: prod\n'],
  ['four blanks', 'shop:\n    outputs:\n        ci:\n            type: duckdb\n¦    target: ci\n'],
  ['lines that end in CRLF', 'shop:\r\n  outputs:\r\n    ci:\r\n      type: duckdb\r\n¦'],
  ['no end of the last line', 'shop:\n  outputs:\n    ci:\n      type: duckdb¦'],
  ['a text block at the end', 'shop:\n  outputs:\n    ci:\n      type: x\n      keyfile: |\n        a\n\n        b\n¦'],
  [
    'comments that belong to the last target',
    'shop:\n  outputs:\n    ci:\n      type: duckdb\n      # threads: 2\n\n    # old:\n    #   type: x\n¦  # of the profile\nother: 1\n',
  ],
  ['targets in braces', 'shop:\n  outputs:\n    ci: { type: duckdb,\n      path: x }\n¦'],
  [
    'lists at the end',
    'shop:\n  outputs:\n    ci:\n      type: duckdb\n      attach:\n      - path: a\n      - path: b\n¦',
  ],
  ['a document start', '---\nshop:\n  outputs:\n    ci:\n      type: duckdb\n¦'],
  ['anchors elsewhere', 'x: &x { type: duckdb }\nshop:\n  outputs:\n    ci:\n      <<: *x\n    cj: *x\n¦'],
  ['quoted names', '"shop":\n  \'outputs\':\n    "ci":\n      type: duckdb\n¦'],
]

test.each(LAYOUTS)('%s: all other bytes stay, and a second time there is nothing to change', (_layout, marked) => {
  const [head = '', tail = ''] = marked.split('¦')
  const { text } = edit(head + tail)
  expect(text.startsWith(head)).toBe(true)
  expect(text.endsWith(tail)).toBe(true)
  expect(text.replaceAll('\r\n', '').includes('\n')).toBe(!head.includes('\r'))
  expect(outputsOf(text)).toMatchObject({ dev: wanted('dev', 1).settings, prod: wanted('prod').settings })

  const again = edit(text)
  expect(again.text).toBe(text)
  expect(changes(again)).toEqual(['dev unchanged', 'prod unchanged'])
})

test('a target of ours is brought up to date; what a person added to it stays', () => {
  const touched = NEW_FILE.replace('project: p1', "project: 'p0' # the old one")
    .replace('      dataset: analytics_dev\n', '')
    .replace('threads: 4', 'threads: 4\n      priority: batch # cheap\n      # maximum_bytes_billed: 1')
  const edited = edit(touched)
  expect(changes(edited)).toEqual(['dev updated', 'prod unchanged'])
  expect(edited.text).toBe(
    touched
      .replace("project: 'p0' # the old one", 'project: p1 # the old one')
      .replace('      threads: 1\n', '      threads: 1\n      dataset: analytics_dev\n'),
  )
})

test.each([
  ['without our line', NEW_FILE.replace(`      ${MARK}\n`, '').replace('threads: 1', 'threads: 8')],
  ['rewritten for another warehouse', NEW_FILE.replace('type: bigquery', 'type: postgres')],
])('a target of ours, %s, is somebody else’s now', (_how, text) => {
  const edited = edit(text)
  expect(edited.text).toBe(text)
  expect(changes(edited)).toEqual(['dev kept', 'prod unchanged'])
})

test('our line counts wherever in the target somebody has moved it, but not in another one', () => {
  const moved = NEW_FILE.replace(`      ${MARK}\n      type: bigquery\n`, `      type: bigquery\n        ${MARK}\n`)
  expect(changes(edit(moved.replace('project: p1', 'project: p0')))[0]).toBe('dev updated')
  const handMadeBeforeOurs = NEW_FILE.replace(`      ${MARK}\n`, '').replace('dataset: analytics_dev', 'dataset: mine')
  expect(changes(edit(handMadeBeforeOurs))).toEqual(['dev kept', 'prod unchanged'])
})

test('a setting of ours that is no plain value any more makes the target anew', () => {
  const edited = edit(NEW_FILE.replace('project: p1', 'project:\n        - p1'))
  expect(changes(edited)).toEqual(['dev replaced', 'prod unchanged'])
  expect(edited.text).toBe(NEW_FILE)
})

test('names that Python would read as something else are quoted', () => {
  const { text } = edit(undefined, { profile: 'on', targets: [wanted('no')] })
  expect(text).toContain('"on":\n  target: "no"\n  outputs:\n    "no":\n')
  expect(outputsOf(text, 'on')).toEqual({ no: wanted('no').settings })
})

test.each([
  ['a profile in braces', 'shop: { outputs: { dev: { type: duckdb, password: hunter2 } } }\n'],
  ['targets in braces', 'shop:\n  outputs: { dev: { type: duckdb, password: hunter2 } }\n'],
  ['shared targets', 'base: &o\n  ci: { type: duckdb, password: hunter2 }\nshop:\n  outputs: *o\n'],
  [
    'a target that another one copies',
    `${NEW_FILE.replace('prod:', 'prod: &p').replace('p1\n      dataset: analytics_prod', 'p0')}    copy: *p\n`,
  ],
  ['no map', '- hunter2\n'],
  ['a text', 'hunter2\n'],
  ['no YAML', 'shop:\n  password: "hunter2\n'],
  [
    'a key that stands twice',
    NEW_FILE.replace('p1', 'p0') + NEW_FILE.slice(NEW_FILE.indexOf('    dev:')).replace('p1', 'p2'),
  ],
])('%s: refused, nothing of the file repeated', (_what, text) => {
  expect(() => edit(text)).toThrow(
    /^(?!.*hunter2)profiles\.yml (?:writes profile 'shop' in a way|is not (?:valid YAML|a dbt))/,
  )
})

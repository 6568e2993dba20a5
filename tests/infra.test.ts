// The promises of infra/, checked without a cloud: its files are parsed, and held to what may be granted, named and left open.
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { parse } from '@cdktf/hcl2json'
import { describe, expect, test } from 'vitest'
import { readOutputs } from '../src/setup/outputs.ts'

const INFRA = path.join(import.meta.dirname, '..', 'infra')

type Attributes = Readonly<Record<string, unknown>>
interface Resource {
  readonly type: string
  readonly name: string
  readonly attributes: Attributes
}

const sources = readdirSync(INFRA, { recursive: true, encoding: 'utf8' })
  .filter((name) => !name.includes('.terraform') && /\.(?:tf|hcl|example)$/.test(name))
  .map((name) => ({ name, text: readFileSync(path.join(INFRA, name), 'utf8') }))
const parsed = await Promise.all(
  sources.map(async ({ name, text }) => ({ name, content: (await parse(`${name}.hcl`, text)) as Attributes })),
)

/** Everything of a kind of block in the .tf files: `resource.<type>.<name>[0]`, `output.<name>[0]`. */
function blocks(kind: string): [name: string, body: Attributes][] {
  return parsed
    .filter(({ name }) => name.endsWith('.tf'))
    .flatMap(({ content }) => Object.entries((content[kind] ?? {}) as Attributes))
    .map(([name, body]) => [name, (Array.isArray(body) ? body[0] : body) as Attributes])
}

const resources: readonly Resource[] = blocks('resource').flatMap(([type, byName]) =>
  Object.entries(byName).map(([name, bodies]) => ({ type, name, attributes: (bodies as Attributes[])[0] ?? {} })),
)
const ofType = (type: string) => resources.filter((resource) => resource.type === type)
const each = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? value : [value]) as readonly T[]

test('every file is understood, and they are the ones that are meant', () => {
  expect(sources.map(({ name }) => name).sort()).toEqual([
    'apis.tf',
    'bucket.tf',
    'ci-identity.tf',
    'datasets.tf',
    'iam.tf',
    'outputs.tf',
    'service-accounts.tf',
    'terraform.tfvars.example',
    path.join('tests', 'infra.tftest.hcl'),
    'variables.tf',
    'versions.tf',
  ])
})

test('there is no kind of resource but these: no keys, nothing that takes grants away, no tables (they are dbt’s)', () => {
  expect([...new Set(resources.map(({ type }) => type))].sort()).toEqual([
    'google_bigquery_dataset',
    'google_bigquery_dataset_iam_member',
    'google_iam_workload_identity_pool',
    'google_iam_workload_identity_pool_provider',
    'google_project_iam_custom_role',
    'google_project_iam_member',
    'google_project_service',
    'google_service_account',
    'google_service_account_iam_member',
    'google_storage_bucket',
    'google_storage_bucket_iam_member',
  ])
  expect(blocks('data')).toEqual([])
  expect(blocks('module')).toEqual([])
})

/** Who gets what, for each of whom, on what: every grant there is. */
const GRANTS = [
  'each loader · roles/bigquery.jobUser · project',
  'each dbt · roles/bigquery.jobUser · project',
  'powerbi · roles/bigquery.jobUser · project',
  'powerbi · roles/bigquery.readSessionUser · project',
  'each loader · millraceJobLister · project',
  'each loader · roles/bigquery.dataEditor · raw',
  'each dbt · roles/bigquery.dataViewer · raw',
  'each loader · roles/bigquery.dataEditor · own candidate',
  'each dbt · roles/bigquery.dataEditor · own candidate',
  'each loader · roles/bigquery.dataEditor · own live',
  'powerbi · roles/bigquery.dataViewer · live of prod',
  'each loader · roles/storage.objectUser · landing bucket',
  'each of loader_users · roles/iam.serviceAccountTokenCreator · own loader',
  'each of dbt_users · roles/iam.serviceAccountTokenCreator · own dbt',
  'ci’s repository · roles/iam.workloadIdentityUser · ci’s dbt',
]

/** Exact texts of expressions → the words above; what is not in it stays as it is and is in no grant. */
const WORDS: Readonly<Record<string, string>> = {
  '${google_service_account.loader} ${each.value.member}': 'each loader',
  '${google_service_account.dbt} ${each.value.member}': 'each dbt',
  ' ${google_service_account.powerbi.member}': 'powerbi',
  '${local.loader_users} ${each.value.member}': 'each of loader_users',
  '${local.dbt_users} ${each.value.member}': 'each of dbt_users',
  ' principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.ci[0].name}/attribute.repository/${var.ci.repository}':
    'ci’s repository',
  '${google_project_iam_custom_role.job_lister.name}': 'millraceJobLister',
  '${google_bigquery_dataset.raw.dataset_id}': 'raw',
  '${google_bigquery_dataset.candidate[each.key].dataset_id}': 'own candidate',
  '${google_bigquery_dataset.live[each.key].dataset_id}': 'own live',
  '${google_bigquery_dataset.live["prod"].dataset_id}': 'live of prod',
  '${google_storage_bucket.landing.name}': 'landing bucket',
  '${google_service_account.loader[each.value.environment].name}': 'own loader',
  '${google_service_account.dbt[each.value.environment].name}': 'own dbt',
  '${google_service_account.dbt[var.ci.environment].name}': 'ci’s dbt',
  '${var.project}': 'project',
}
const inWords = (text: string) => WORDS[text] ?? text

function grantText({ attributes }: Resource): string {
  const { for_each: forEach = '', member, role, dataset_id, bucket, service_account_id, project } = attributes
  const on = dataset_id ?? bucket ?? service_account_id ?? project
  return [`${String(forEach)} ${String(member)}`, String(role), String(on)].map(inWords).join(' · ')
}

describe('access', () => {
  const grants = resources.filter(({ type }) => type.includes('_iam_') && type.endsWith('_member'))

  test('is granted as it is written here, and not a bit more', () => {
    expect(grants.map(grantText).sort()).toEqual([...GRANTS].sort())
  })

  test('the own role can list jobs and nothing else', () => {
    expect(ofType('google_project_iam_custom_role').map(({ attributes }) => attributes['permissions'])).toEqual([
      ['bigquery.jobs.list'],
    ])
  })

  test('is not also listed by datasets themselves, which would take the other grants away', () => {
    expect(ofType('google_bigquery_dataset').filter(({ attributes }) => 'access' in attributes)).toEqual([])
  })

  test('is what the README says', () => {
    const named = readFileSync(path.join(INFRA, 'README.md'), 'utf8')
    const table = named.slice(named.indexOf('## Who may what'), named.indexOf('- **Why'))
    const roles = (text: string) => [...new Set(text.match(/roles\/[\w.]+/g))].sort()
    expect(roles(table)).toEqual(roles(GRANTS.join('\n')))
    expect(table).toContain('millraceJobLister')
  })

  test('CI is off until somebody names a repository, and then no other is let in', () => {
    const ci = resources.filter(({ name, type }) => type.includes('workload_identity') || name.startsWith('ci_'))
    expect(ci).toHaveLength(3)
    for (const { attributes } of ci) expect(attributes['count']).toBe('${var.ci == null ? 0 : 1}')
    const variable = Object.fromEntries(blocks('variable'))['ci']
    expect(variable).toHaveProperty('default', null)
    const [provider] = ofType('google_iam_workload_identity_pool_provider')
    expect(provider?.attributes['attribute_condition']).toBe("assertion.repository == '${var.ci.repository}'")
  })
})

describe('environments', () => {
  test('all have the same: what exists per environment exists for each of them', () => {
    const perEnvironment = Object.fromEntries(
      resources
        .filter(({ attributes }) => 'for_each' in attributes)
        .map(({ type, name, attributes }) => [`${type}.${name}`, attributes['for_each']]),
    )
    expect(perEnvironment).toMatchObject({
      'google_service_account.loader': '${var.environments}',
      'google_service_account.dbt': '${var.environments}',
      'google_bigquery_dataset.candidate': '${local.candidate_datasets}',
      'google_bigquery_dataset.live': '${local.live_datasets}',
    })
    const [locals] = parsed
      .filter(({ name }) => name === 'datasets.tf')
      .map(({ content }) => (content['locals'] as Attributes[])[0])
    expect(locals).toMatchObject({
      candidate_datasets: '${{ for name in var.environments : name => "analytics_${name}" }}',
      live_datasets:
        '${{ for name in var.environments : name => name == "prod" ? "analytics" : "analytics_${name}_live" }}',
    })
  })

  test('dev is nowhere special, prod only where readers look', () => {
    const special = resources.filter(({ attributes }) => /\b(?:dev|prod|staging)\b/.test(JSON.stringify(attributes)))
    expect(special.map(({ name }) => name)).toEqual(['powerbi_reads_live'])
  })

  test('dev and prod are there unless somebody says otherwise', () => {
    expect(Object.fromEntries(blocks('variable'))['environments']).toMatchObject({
      type: '${set(string)}',
      default: ['dev', 'prod'],
    })
  })
})

test('datasets are in the one location, carry labels, and are never emptied', () => {
  const datasets = ofType('google_bigquery_dataset')
  expect(datasets.map(({ name }) => name).sort()).toEqual(['candidate', 'live', 'raw'])
  for (const { attributes } of datasets) {
    expect(attributes).toMatchObject({
      project: '${var.project}',
      location: '${var.location}',
      delete_contents_on_destroy: false,
      labels: expect.stringContaining('local.labels') as string,
    })
  }
  // Loaded records and the ledger are what everything else can be made from again.
  const raw = datasets.find(({ name }) => name === 'raw')
  expect(Object.keys(raw?.attributes ?? {}).filter((key) => key.includes('expiration'))).toEqual([])
})

test('the bucket is closed to the public, keeps versions, clears itself, and is where the datasets are', () => {
  const [landing, ...others] = ofType('google_storage_bucket')
  expect(others).toEqual([])
  expect(landing?.attributes).toMatchObject({
    location: '${var.location}',
    uniform_bucket_level_access: true,
    public_access_prevention: 'enforced',
    force_destroy: false,
    versioning: [{ enabled: true }],
  })
  const rules = each(landing?.attributes['lifecycle_rule'] as Attributes)
  expect(rules).toContainEqual({
    action: [{ type: 'Delete' }],
    condition: [{ age: '${var.landing_days}', with_state: 'LIVE' }],
  })
  expect(rules).toContainEqual({
    action: [{ type: 'Delete' }],
    condition: [{ days_since_noncurrent_time: 7, with_state: 'ARCHIVED' }],
  })
})

describe('outputs', () => {
  const outputs = Object.fromEntries(blocks('output'))
  const FOR_PROFILES = ['datasets', 'landing_bucket', 'live_datasets', 'loader_accounts', 'location', 'project']
  const FOR_PEOPLE = ['ci_provider', 'dbt_accounts', 'powerbi_account', 'raw_dataset']

  test('are these', () => {
    expect(Object.keys(outputs).sort()).toEqual([...FOR_PROFILES, ...FOR_PEOPLE].sort())
  })

  test('have what setup-profiles asks for, which is no more than that', () => {
    const asked: string[] = []
    try {
      readOutputs('{}', 'none.json')
    } catch (error) {
      asked.push(...[...String(error).matchAll(/^(\w+) is missing$/gm)].map(([, name]) => name ?? ''))
    }
    expect(asked.sort()).toEqual(FOR_PROFILES)
  })

  test('are explained and hold no secret', () => {
    for (const body of Object.values(outputs)) {
      expect(Object.keys(body).sort()).toEqual(['description', 'value'])
      expect(String(body['value'])).not.toMatch(/private_key|secret|password|token|sensitive/i)
    }
    expect(blocks('variable').filter(([, body]) => 'sensitive' in body)).toEqual([])
  })
})

describe('form', () => {
  test.each(sources)('$name begins with its purpose; blanks, no tabs, nothing at the ends of lines', ({ text }) => {
    expect(text).toMatch(/^# [A-Z]/)
    expect(text).not.toMatch(/\t|[ \t]+$|\n\n\n/m)
    expect(text.endsWith('\n')).toBe(true)
    const indents = text.match(/^ +(?=\S)/gm) ?? []
    expect(indents.filter((indent) => indent.length % 2 === 1)).toEqual([])
  })

  test.each(sources)('$name aligns the equals signs of neighbours', ({ text }) => {
    // As the tool's formatter does: one-line settings of one block, without a blank line or a comment between them.
    const groups = text.split('\n').reduce<string[][]>(
      (all, line) => {
        if (/^ *[\w."]+ += .*[^[({,]$/.test(line)) all.at(-1)?.push(line)
        else all.push([])
        return all
      },
      [[]],
    )
    const columns = groups.map((group) => new Set(group.map((line) => line.indexOf('= '))))
    expect(groups.filter((_group, index) => (columns[index]?.size ?? 0) > 1)).toEqual([])
    expect(groups.flat().length).toBeGreaterThan(0)
  })

  const tool = ['tofu', 'terraform'].map(onPath).find((file) => file !== undefined)
  test.skipIf(tool === undefined)('the tool’s own formatter finds nothing (skipped without tofu or terraform)', () => {
    const { status, stdout } = spawnSync(tool ?? '', ['fmt', '-check', '-recursive', '-diff', INFRA], {
      encoding: 'utf8',
      timeout: 60_000,
    })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
  })
})

function onPath(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(path.delimiter)
    .map((folder) => path.join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

// What `tofu output -json` writes is read whole or refused with everything that is wrong in it.
import { expect, test } from 'vitest'
import { readOutputs } from './outputs.ts'

/** As OpenTofu 1.12 wrote them, shortened. An output that is null (ci_provider) is not in it at all. */
const OUTPUTS = {
  datasets: {
    sensitive: false,
    type: ['object', { dev: 'string', prod: 'string', staging: 'string' }],
    value: { dev: 'analytics_dev', prod: 'analytics_prod', staging: 'analytics_staging' },
  },
  landing_bucket: { sensitive: false, type: 'string', value: 'my-project-millrace-landing' },
  live_datasets: {
    sensitive: false,
    type: ['object', { dev: 'string', prod: 'string', staging: 'string' }],
    value: { dev: 'analytics_dev_live', prod: 'analytics', staging: 'analytics_staging_live' },
  },
  loader_accounts: {
    sensitive: false,
    type: ['object', { dev: 'string', prod: 'string', staging: 'string' }],
    value: {
      dev: 'millrace-loader-dev@my-project.iam.gserviceaccount.com',
      prod: 'millrace-loader-prod@my-project.iam.gserviceaccount.com',
      staging: 'millrace-loader-staging@my-project.iam.gserviceaccount.com',
    },
  },
  location: { sensitive: false, type: 'string', value: 'EU' },
  powerbi_account: { sensitive: false, type: 'string', value: 'millrace-powerbi@my-project.iam.gserviceaccount.com' },
  project: { sensitive: false, type: 'string', value: 'my-project' },
}

const HOW = 'tofu -chdir=infra apply && tofu -chdir=infra output -json > out.json'

function refusal(text: string, file = 'out.json'): string {
  try {
    readOutputs(text, file)
  } catch (error) {
    return (error as Error).message
  }
  return 'it was read'
}

const changed = (changes: Readonly<Record<string, unknown>>) =>
  JSON.stringify({
    ...OUTPUTS,
    ...Object.fromEntries(Object.entries(changes).map(([name, value]) => [name, { value }])),
  })

test('environments come with dev first and prod last, each with its own names', () => {
  const { project, location, landingBucket, environments } = readOutputs(JSON.stringify(OUTPUTS), 'out.json')
  expect({ project, location, landingBucket }).toEqual({
    project: 'my-project',
    location: 'EU',
    landingBucket: 'my-project-millrace-landing',
  })
  expect(environments.map(({ name, dataset, liveDataset }) => [name, dataset, liveDataset])).toEqual([
    ['dev', 'analytics_dev', 'analytics_dev_live'],
    ['staging', 'analytics_staging', 'analytics_staging_live'],
    ['prod', 'analytics_prod', 'analytics'],
  ])
  expect(environments[2]?.loaderAccount).toBe('millrace-loader-prod@my-project.iam.gserviceaccount.com')
})

test('before anything was applied, all outputs are named at once, with the command', () => {
  const message = refusal('{}')
  for (const name of ['project', 'location', 'landing_bucket', 'datasets', 'live_datasets', 'loader_accounts']) {
    expect(message).toContain(`\n${name} is missing`)
  }
  expect(message).toContain(HOW)
})

test.each([
  [{ project: null, datasets: {}, location: '' }, ['project is missing', 'datasets is missing', 'location is missing']],
  [
    { live_datasets: { dev: 'analytics_dev_live', prod: 'analytics' } },
    ['live_datasets.staging is missing'], // an environment that was added by half
  ],
  [{ datasets: ['analytics_dev'] }, ['datasets is not a map by environment']],
  [{ project: 12 }, ['project is not the id of a project']],
  [{ location: "{{ env_var('HOME') }}" }, ['location is not a location such as']],
  [{ loader_accounts: { dev: 'me@example.org' } }, ['loader_accounts.dev is not the email of a service account']],
  [{ datasets: { 'a b\n': 'x' } }, ['is not a name of letters']],
])('%j is refused', (changes, parts) => {
  const message = refusal(changed(changes))
  for (const part of parts) expect(message).toContain(part)
  expect(message).toContain(HOW)
})

test.each([
  ['', 'out.json is not JSON (it is empty)'],
  ['not { JSON hunter2', 'out.json is not JSON'],
  ['["hunter2"]', 'out.json is JSON, but not outputs'],
  ['"hunter2"', 'out.json is JSON, but not outputs'],
  ['{ "project": "hunter2" }', 'out.json is JSON, but not outputs'],
  ['null', 'out.json is JSON, but not outputs'],
])('%j is refused without repeating it', (text, part) => {
  const message = refusal(text)
  expect(message).toContain(part)
  expect(message).toContain(HOW)
  expect(message).not.toContain('hunter2')
})

test('the command that is proposed writes over no other file', () => {
  expect(refusal('version: 2', 'dbt/profiles.yml')).toContain('output -json > terraform-outputs.json')
  expect(refusal('{}', "it's here.json")).toContain(String.raw`output -json > 'it'\''s here.json'`)
})

test('a byte order mark does not matter', () => {
  expect(readOutputs(`\uFEFF${JSON.stringify(OUTPUTS)}`, 'out.json').project).toBe('my-project')
})

// The dbt profile's target, read as dbt reads it; whatever is wrong names the file and what to put into it. On real files.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { listTargets, readProfileTarget } from './profile.ts'

let folder = ''
let projectDir = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-profile-'))
  projectDir = path.join(folder, 'dbt')
})
afterAll(() => rm(folder, { recursive: true }))
beforeEach(async () => {
  await rm(projectDir, { recursive: true, force: true })
  await mkdir(projectDir)
  await writeFile(path.join(projectDir, 'dbt_project.yml'), 'name: shop\nprofile: shop\n')
})
afterEach(() => vi.unstubAllEnvs())

async function profiles(text: string, at = projectDir): Promise<void> {
  await mkdir(at, { recursive: true })
  await writeFile(path.join(at, 'profiles.yml'), text)
}

const withSettings = (settings: string) => `shop:\n  target: dev\n  outputs:\n    dev: { type: duckdb, ${settings} }\n`

const TWO = `shop:
  target: dev
  outputs:
    dev: { type: duckdb, path: dev.duckdb, schema: dev, threads: 4 }
    prod: { type: duckdb, path: "{{ env_var('MILLRACE_TEST_UNSET') }}", schema: prod }
`

test("a target is read with its settings; the default is the profile's own", async () => {
  await profiles(TWO)

  expect(await readProfileTarget({ projectDir })).toEqual({
    profile: 'shop',
    target: 'dev',
    type: 'duckdb',
    profilesDir: projectDir,
    settings: { type: 'duckdb', path: 'dev.duckdb', schema: 'dev', threads: 4 },
    secrets: [],
  })
  expect(await listTargets({ projectDir })).toEqual({ targets: ['dev', 'prod'], default: 'dev' })
})

describe('env_var', () => {
  test.each([
    ['takes the variable', "{{ env_var('MILLRACE_TEST_A') }}", 'one'],
    ['takes it before its default', "{{ env_var('MILLRACE_TEST_A', 'two') }}", 'one'],
    ['takes the default of a variable that is not set', "{{ env_var('MILLRACE_TEST_UNSET', 'two') }}", 'two'],
    ['takes an empty default', "x{{ env_var('MILLRACE_TEST_UNSET', '') }}y", 'xy'],
    ['takes an empty variable, which is set', "x{{ env_var('MILLRACE_TEST_EMPTY', 'two') }}y", 'xy'],
    ['stands in a text, also twice', "{{ env_var('MILLRACE_TEST_A') }}/{{env_var('MILLRACE_TEST_A')}}", 'one/one'],
    ["goes through Jinja's filters", "{{ env_var('MILLRACE_TEST_A') | upper }}", 'ONE'],
    ["takes its type from dbt's own filters", "{{ env_var('MILLRACE_TEST_N') | as_number }}", 7],
    ['stays text without them', "{{ env_var('MILLRACE_TEST_N') }}", '7'],
  ])('%s', async (_what, text, value) => {
    vi.stubEnv('MILLRACE_TEST_A', 'one')
    vi.stubEnv('MILLRACE_TEST_N', '7')
    vi.stubEnv('MILLRACE_TEST_EMPTY', '')
    await profiles(withSettings(`path: "${text}", nested: { list: ["${text}"] }`))

    const { settings } = await readProfileTarget({ projectDir })

    expect(settings).toMatchObject({ path: value, nested: { list: [value] } })
  })

  test('also names the default target', async () => {
    vi.stubEnv('MILLRACE_TEST_A', 'prod')
    await profiles(TWO.replace('target: dev', `target: "{{ env_var('MILLRACE_TEST_A', 'dev') }}"`))

    expect(await listTargets({ projectDir })).toMatchObject({ default: 'prod' })
  })

  test('of a target that is not asked for need not be set', async () => {
    await profiles(TWO)

    await expect(readProfileTarget({ projectDir }, 'dev')).resolves.toMatchObject({ target: 'dev' })
    await expect(readProfileTarget({ projectDir }, 'prod')).rejects.toMatchObject({
      type: 'ProfileInvalid',
      message: expect.stringMatching(/profiles\.yml, target 'prod' needs \$MILLRACE_TEST_UNSET, which the worker's/),
    })
  })

  test('that are missing are named at once, of all settings, with whatever else is wrong', async () => {
    vi.stubEnv('MILLRACE_TEST_A', 'one')
    await profiles(
      withSettings(
        `path: "{{ env_var('MILLRACE_TEST_X') }}{{ env_var('MILLRACE_TEST_Y') }}", token: "{{ env_var('MILLRACE_TEST_Z') }}", ` +
          `attach: [{ path: "{{ env_var('MILLRACE_TEST_X') }}" }], threads: "{{ env_var('MILLRACE_TEST_A') | as_number }}"`,
      ),
    )

    await expect(readProfileTarget({ projectDir })).rejects.toMatchObject({
      type: 'ProfileInvalid',
      message: expect.stringMatching(
        new RegExp(
          [
            "^.*profiles.yml, target 'dev' needs \\$MILLRACE_TEST_X, \\$MILLRACE_TEST_Y, \\$MILLRACE_TEST_Z, which .*; set them and start the worker again",
            "profiles.yml, target 'dev': threads '{{ env_var\\('MILLRACE_TEST_A'\\) \\| as_number }}' gives no number.*; look at \\$MILLRACE_TEST_A$",
          ].join('\n.*'),
        ),
      ),
    })
  })

  test('of the default target need not be set where another is named', async () => {
    await profiles(TWO.replace('target: dev', `target: "{{ env_var('MILLRACE_TEST_UNSET') }}"`))

    await expect(readProfileTarget({ projectDir }, 'dev')).resolves.toMatchObject({ target: 'dev' })
    await expect(listTargets({ projectDir })).rejects.toMatchObject({
      message: expect.stringContaining('needs $MILLRACE_TEST_UNSET'),
    })
  })

  test('also names the profile', async () => {
    await writeFile(
      path.join(projectDir, 'dbt_project.yml'),
      `name: shop\nprofile: "{{ env_var('MILLRACE_TEST_UNSET', 'shop') }}"\n`,
    )
    await profiles(TWO)

    expect(await readProfileTarget({ projectDir })).toMatchObject({ profile: 'shop' })
  })

  test.each(['{{ env_var( }}', "{{ var('x') }}", '{% if %}', "{{ 'abc' | nope }}"])(
    'Jinja that cannot be read is shown: %s',
    async (text) => {
      await profiles(withSettings(`path: "${text}"`))

      await expect(readProfileTarget({ projectDir })).rejects.toMatchObject({
        type: 'ProfileInvalid',
        message: expect.stringContaining(`path '${text}' cannot be read`),
      })
    },
  )
})

describe('a secret is not repeated by an error', () => {
  test.each([
    ['of a secret key', `token: "{{ 'hush' | nope }}"`, /the Jinja of token cannot be read/],
    ['of a password', `password: "{{ 'hush' | nope }}"`, /the Jinja of password cannot be read/],
    ['deep below one', `secrets: [{ type: s3, region: "{{ 'hush' | nope }}" }]`, /the Jinja of secrets\.0\.region/],
    ['that is a number by mistake', `token: "{{ 'hush' | as_number }}"`, /the Jinja of token cannot be read, or gives/],
    ['in a path', `path: "md:x?motherduck_token=hush{{ nope( }}"`, /the Jinja of path cannot be read/],
    ['in an address', `path: "postgres://me:hush@host/{{ nope( }}"`, /path 'postgres:\/\/me:\[redacted\]@host/],
    ['of YAML: an alias', 'password: *hush', /is not valid YAML: an alias .* in quotes/],
    ['of YAML: a tag', 'password: !hush x', /is not valid YAML: line 4, column \d+ \(tag resolve failed\)/],
    ['of YAML: a broken text', 'password: "hush', /is not valid YAML: line \d, column \d+ \(missing char\)/],
    ['of YAML: a sign too much', 'token: x}hush', /is not valid YAML: line 4, column \d+ \(/],
  ])('%s', async (_what, setting, message) => {
    await profiles(withSettings(setting))

    const failed = await readProfileTarget({ projectDir }).catch((error: unknown) => error)

    expect(failed).toMatchObject({ type: 'ProfileInvalid', message: expect.stringMatching(message) })
    expect(String(failed)).not.toContain('hush')
  })

  test('and the value of a variable is repeated nowhere', async () => {
    vi.stubEnv('MILLRACE_TEST_A', 'hush')
    await profiles(withSettings(`port: "{{ env_var('MILLRACE_TEST_A') | as_number }}"`))

    const failed = await readProfileTarget({ projectDir }).catch((error: unknown) => error)

    expect(failed).toMatchObject({ message: expect.stringContaining('gives no number') })
    expect(String(failed)).not.toContain('hush')
  })
})

test.each(['a{{b', 'a{#b', 'a{%b', 'a{{b c}}d', 'a}}b'])(
  'a password that only looks like Jinja is taken as it stands, as dbt does: %s',
  async (password) => {
    await profiles(withSettings(`password: "${password}"`))

    expect(await readProfileTarget({ projectDir })).toMatchObject({ settings: { password }, secrets: [password] })
  },
)

test('a profile is YAML as dbt reads it: merge keys, yes and off, y as a text, the last of two equal keys', async () => {
  await profiles(
    `base: &base { type: duckdb, path: base.duckdb, schema: dev }
shop:
  target: dev
  outputs:
    dev: { <<: *base, path: own.duckdb, read_only: yes, keep_open: off, user: y, day: 2026-01-05, threads: 1, threads: 2 }
`,
  )

  const { settings } = await readProfileTarget({ projectDir })

  expect(settings).toEqual({
    type: 'duckdb',
    path: 'own.duckdb',
    schema: 'dev',
    read_only: true,
    keep_open: false,
    user: 'y',
    day: '2026-01-05',
    threads: 2,
  })
})

test('secrets are listed, however deep they stand, and nothing else is', async () => {
  vi.stubEnv('MILLRACE_TEST_A', 'p4ssword')
  await profiles(
    withSettings(
      [
        `path: plain, user: ada, schema: dev, password: "{{ env_var('MILLRACE_TEST_A') }}", token: t0ken, threads: 4`,
        'keyfile_json: { project_id: plain, private_key: k3y, client_email: plain }',
        'secrets: [{ type: s3, region: plain, secret: s3cret }], settings: { s3_secret_access_key: acce55 }',
      ].join(', '),
    ),
  )

  const { secrets } = await readProfileTarget({ projectDir })

  expect(secrets.toSorted()).toEqual(['acce55', 'k3y', 'p4ssword', 's3cret', 't0ken'])
})

test('secrets are also numbers, parts of a key file given as text, and variables that dbt calls secret', async () => {
  vi.stubEnv('DBT_ENV_SECRET_MILLRACE_TEST', 'hu$&sh')
  vi.stubEnv('MILLRACE_TEST_KEY', '{"type": "service_account", "private_key": "k3y"}')
  await profiles(
    withSettings(
      [
        'password: 123456, token_uri: https://plain, sslkey: plain.pem, private_key_path: plain.p8, refresh_token: r3fresh',
        'client_secret: cl13nt, pass: p4ss, keyfile: plain.json',
        `user: "me-{{ env_var('DBT_ENV_SECRET_MILLRACE_TEST') }}", keyfile_json: "{{ env_var('MILLRACE_TEST_KEY') }}"`,
      ].join(', '),
    ),
  )

  const { settings, secrets } = await readProfileTarget({ projectDir })

  expect(settings).toMatchObject({ user: 'me-hu$&sh', password: 123456 })
  expect(secrets.toSorted()).toEqual(
    [
      '123456',
      'cl13nt',
      'hu$&sh',
      'k3y',
      'p4ss',
      'r3fresh',
      '{"type": "service_account", "private_key": "k3y"}',
    ].toSorted(),
  )
})

describe('where profiles.yml is', () => {
  test('the given folder, and no other', async () => {
    await profiles(TWO)
    const given = path.join(folder, 'given')
    await profiles(withSettings('path: given.duckdb'), given)

    expect(await readProfileTarget({ projectDir, profilesDir: given })).toMatchObject({
      profilesDir: given,
      settings: { path: 'given.duckdb' },
    })
  })

  test("the project's folder first, then .dbt in the home folder", async () => {
    vi.stubEnv('HOME', path.join(folder, 'home'))
    await profiles(withSettings('path: home.duckdb'), path.join(folder, 'home', '.dbt'))

    expect(await readProfileTarget({ projectDir })).toMatchObject({ settings: { path: 'home.duckdb' } })
    await profiles(withSettings('path: own.duckdb'))
    expect(await readProfileTarget({ projectDir })).toMatchObject({ settings: { path: 'own.duckdb' } })
  })

  test('nowhere: the message has the file to create and the profile to put into it', async () => {
    vi.stubEnv('HOME', path.join(folder, 'empty'))

    await expect(readProfileTarget({ projectDir })).rejects.toMatchObject({
      type: 'ProfileMissing',
      message: expect.stringMatching(
        /^there is no profiles\.yml in .*dbt or .*\.dbt; create .*dbt\/profiles\.yml with a profile 'shop'/,
      ),
    })
  })
})

test.each([
  [
    'another profile',
    'shpo: {}\n',
    'ProfileMissing',
    /has no profile 'shop' \(did you mean 'shpo'\?\); it has: shpo\./,
  ],
  ['an empty file', '', 'ProfileMissing', /has no profile 'shop'; it has: none/],
  ['broken YAML', 'shop: {', 'ProfileInvalid', /profiles\.yml is not valid YAML/],
  ['no outputs', 'shop: { target: dev }\n', 'ProfileInvalid', /is not a dbt profile: shop\.outputs/],
  ['an output without type', 'shop: { outputs: { dev: { path: x } } }\n', 'ProfileInvalid', /shop\.outputs\.dev\.type/],
  [
    'no such target',
    'shop: { target: dve, outputs: { dev: { type: duckdb } } }\n',
    'TargetUnknown',
    /profile 'shop' has no target 'dve' \(did you mean 'dev'\?\); .*profiles\.yml has: dev\. .* run with --target dev/,
  ],
  ['no default target', 'shop: { outputs: { dev: { type: duckdb } } }\n', 'TargetUnknown', /no target 'default'/],
])('refused: %s', async (_what, text, type, message) => {
  await profiles(text)

  await expect(readProfileTarget({ projectDir })).rejects.toMatchObject({
    type,
    message: expect.stringMatching(message),
  })
})

test('a folder without a dbt project, and a project without a profile, are told apart', async () => {
  await expect(readProfileTarget({ projectDir: folder })).rejects.toMatchObject({
    type: 'DbtProjectInvalid',
    message: expect.stringMatching(/^there is no dbt project at .*\(no dbt_project\.yml\)/),
  })
  await writeFile(path.join(projectDir, 'dbt_project.yml'), 'name: shop\n')
  await expect(readProfileTarget({ projectDir })).rejects.toMatchObject({
    type: 'DbtProjectInvalid',
    message: expect.stringContaining('dbt_project.yml names no profile; add a line'),
  })
})

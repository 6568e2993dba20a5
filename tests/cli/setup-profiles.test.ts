// `millrace setup-profiles`: shown before written, written only when wanted, and dbt's profile is what Millrace then reads.
import { spawn } from 'node:child_process'
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openCli } from '../../src/cli/cli.ts'
import { setupProfilesCommand, type SetupProfilesFlags } from '../../src/cli/setup-profiles.ts'
import { readProfileTarget } from '../../src/dbt/profile.ts'
import { INSTALLATION, workspaceAt, type Workspace } from '../../src/platform/workspace.ts'
import { millrace, testEnvironment } from '../support/cli.ts'

const PROFILES = path.join('dbt', 'profiles.yml')
const account = (environment: string) => `millrace-loader-${environment}@my-project.iam.gserviceaccount.com`
const OUTPUTS = {
  project: { sensitive: false, type: 'string', value: 'my-project' },
  location: { sensitive: false, type: 'string', value: 'EU' },
  landing_bucket: { sensitive: false, type: 'string', value: 'my-project-millrace-landing' },
  datasets: { sensitive: false, value: { dev: 'analytics_dev', prod: 'analytics_prod' } },
  live_datasets: { sensitive: false, value: { dev: 'analytics_dev_live', prod: 'analytics' } },
  loader_accounts: { sensitive: false, value: { dev: account('dev'), prod: account('prod') } },
}

/** A workspace with the sample's dbt project (its two YAML files) and the outputs in out.json. */
async function setUp(): Promise<Workspace> {
  const workspace = workspaceAt(await mkdtemp(path.join(tmpdir(), 'millrace-setup-profiles-')))
  onTestFinished(() => rm(workspace.root, { recursive: true }))
  await mkdir(workspace.pipelinesDir)
  await mkdir(path.join(workspace.root, 'dbt'))
  for (const file of ['dbt_project.yml', 'profiles.yml']) {
    await copyFile(path.join(INSTALLATION.root, 'dbt', file), path.join(workspace.root, 'dbt', file))
  }
  await writeFile(path.join(workspace.root, 'out.json'), JSON.stringify(OUTPUTS))
  return workspace
}

/** HOME is the workspace: the one of whoever runs the tests may have a ~/.dbt. */
const environment = (workspace: Workspace) => testEnvironment(workspace, { HOME: workspace.root })
const setupProfiles = (workspace: Workspace, ...args: readonly string[]) =>
  millrace(workspace, ['setup-profiles', '--outputs', 'out.json', ...args], environment(workspace))
const profilesOf = ({ root }: Workspace) => readFile(path.join(root, PROFILES), 'utf8')

test('without a terminal and --yes it only shows what would change, and says how to do it', async () => {
  const workspace = await setUp()
  const before = await profilesOf(workspace)
  const { code, stdout, stderr } = await setupProfiles(workspace)
  expect(stdout).toMatch(/^--- dbt\/profiles\.yml\n\+\+\+ dbt\/profiles\.yml\n@@ /)
  expect(stdout).toContain('\n+      dataset: analytics_prod\n')
  expect(stdout).toMatch(/^dev +kept as it is \(type duckdb\): .*--replace dev writes it anew$/m)
  expect(stdout).toMatch(/^prod +added: builds in my-project\.analytics_prod, publishes to my-project\.analytics$/m)
  expect(stdout).toContain('publish: { to: { dev: analytics_dev_live, prod: analytics } }')
  expect(stdout).toContain('bigquery: { staging_bucket: my-project-millrace-landing }')
  expect(stderr).toBe('nothing was written; to write dbt/profiles.yml, run the same command with --yes\n')
  expect(code).toBe(1)
  expect(await profilesOf(workspace)).toBe(before)
})

test('with --yes it is written, and Millrace reads it; a second time there is nothing to change', async () => {
  const workspace = await setUp()
  expect((await setupProfiles(workspace, '--yes', '--replace', 'dev')).code).toBe(0)
  const projectDir = path.join(workspace.root, 'dbt')
  const [dev, prod] = await Promise.all(['dev', 'prod'].map((target) => readProfileTarget({ projectDir }, target)))
  const common = { type: 'bigquery', method: 'oauth', project: 'my-project', location: 'EU' }
  expect(dev?.settings).toEqual({
    ...common,
    dataset: 'analytics_dev',
    threads: 1,
    impersonate_service_account: account('dev'),
  })
  expect(prod?.settings).toEqual({
    ...common,
    dataset: 'analytics_prod',
    threads: 4,
    impersonate_service_account: account('prod'),
  })

  const written = await profilesOf(workspace)
  const { code, stdout } = await setupProfiles(workspace)
  expect(stdout).toContain('dbt/profiles.yml: nothing to change')
  expect(code).toBe(0)
  expect(await profilesOf(workspace)).toBe(written)
})

test('no password of another target is shown, in the diff or anywhere else', async () => {
  const workspace = await setUp()
  const byHand = 'millrace:\n  outputs:\n    dev:\n      type: postgres\n      user: me\n      password: hunter2\n'
  await writeFile(path.join(workspace.root, PROFILES), byHand)
  for (const args of [[], ['--replace', 'dev']]) {
    const { stdout, stderr } = await setupProfiles(workspace, ...args)
    expect(stdout).toContain('password: [hidden]')
    expect(stdout + stderr).not.toContain('hunter2')
  }
})

test('a file that only its owner may read stays so, and a link stays one', async () => {
  const workspace = await setUp()
  const kept = path.join(workspace.root, 'kept.yml')
  await writeFile(kept, 'millrace:\n  outputs:\n')
  await chmod(kept, 0o600)
  await rm(path.join(workspace.root, PROFILES))
  await symlink('../kept.yml', path.join(workspace.root, PROFILES))
  expect((await setupProfiles(workspace, '--yes')).code).toBe(0)
  expect(await readFile(kept, 'utf8')).toContain('analytics_prod')
  expect((await stat(kept)).mode & 0o777).toBe(0o600)
  expect((await lstat(path.join(workspace.root, PROFILES))).isSymbolicLink()).toBe(true)
  expect((await readdir(workspace.root)).filter((name) => name.endsWith('.tmp'))).toEqual([])
})

test('a file that is not there is made where it is wanted; that it hides the one at home is said', async () => {
  const workspace = await setUp()
  await rm(path.join(workspace.root, PROFILES))
  await mkdir(path.join(workspace.root, '.dbt'))
  await writeFile(path.join(workspace.root, '.dbt', 'profiles.yml'), 'millrace:\n  outputs:\n')
  const { code, stdout, stderr } = await setupProfiles(workspace)
  expect(stdout).toMatch(/^--- \/dev\/null\n\+\+\+ dbt\/profiles\.yml\n@@ -0,0 /)
  expect(stderr).toMatch(/dbt reads .*\.dbt\/profiles\.yml no more for this project; .*--profiles-dir /)
  expect(code).toBe(1)

  const elsewhere = await setupProfiles(workspace, '--profiles-dir', '.dbt', '--yes')
  expect({ code: elsewhere.code, stderr: elsewhere.stderr }).toEqual({ code: 0, stderr: '' })
  expect(await readFile(path.join(workspace.root, '.dbt', 'profiles.yml'), 'utf8')).toContain('analytics_dev')
})

test.each([
  [
    'the outputs are not there',
    { outputs: 'none.json' },
    /no file .*none\.json; make it with: tofu -chdir=infra apply/,
  ],
  [
    'nothing was applied',
    { outputs: 'empty.json' },
    /project is missing[^]*loader_accounts is missing[^]*output -json/,
  ],
  ['a folder is given', { outputs: 'dbt' }, /dbt is a folder/],
  ['there is no such environment', { replace: ['pord'] }, /--replace pord.*did you mean 'prod'.*dev, prod/],
  ['there is no dbt project', { projectDir: 'pipelines' }, /no dbt project at .*pipelines.*--project-dir/],
])('%s: refused with what to do, nothing written', async (_why, flags: Partial<SetupProfilesFlags>, message) => {
  const workspace = await setUp()
  await writeFile(path.join(workspace.root, 'empty.json'), '{}')
  const before = await profilesOf(workspace)
  const inWorkspace = (name: string) => path.join(workspace.root, name)
  const refused = setupProfilesCommand(openCli, {
    yes: true,
    ...flags,
    outputs: inWorkspace(flags.outputs ?? 'out.json'),
    projectDir: inWorkspace(flags.projectDir ?? 'dbt'),
  })
  await expect(refused).rejects.toThrow(message)
  expect(await profilesOf(workspace)).toBe(before)
})

/** Runs the command on a terminal of its own; once it asks, `answer` is typed (`EDIT` changes the file under its hands first). */
const ON_A_TERMINAL = `
import os, pty, sys
answer, profiles, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)
seen = b''
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    seen += part
    if answer is not None and b'[y/N] ' in seen:
        if answer.startswith('EDIT'):
            open(profiles, 'a').write('# somebody was here' + chr(10))
        os.write(terminal, answer.removeprefix('EDIT').encode())
        answer = None
sys.stdout.write(seen.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`

async function answered(workspace: Workspace, answer: string): Promise<{ code: number | null; seen: string }> {
  const millraceArgs = [path.join(INSTALLATION.root, 'bin/millrace.mjs'), 'setup-profiles', '--outputs', 'out.json']
  const child = spawn(INSTALLATION.python, ['-c', ON_A_TERMINAL, answer, PROFILES, process.execPath, ...millraceArgs], {
    cwd: workspace.root,
    env: { ...environment(workspace), TERM: 'xterm' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const { promise, resolve } = Promise.withResolvers<number | null>()
  let seen = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text))
  child.once('close', resolve)
  return { code: await promise, seen }
}

test.each([
  ['y\r', 0, 'dbt/profiles.yml is written', true],
  ['\r', 1, 'nothing was written', false],
  ['\u0003', 1, 'nothing was written', false],
  ['EDITy\r', 2, 'was changed by somebody else meanwhile; run it again', false],
])('on a terminal it asks; %j ends it with %i', async (answer, code, message, isWritten) => {
  const workspace = await setUp()
  const result = await answered(workspace, answer)
  expect(result.seen).toContain('Write dbt/profiles.yml? [y/N] ')
  expect(result.seen).toContain(message)
  expect(result.code).toBe(code)
  expect((await profilesOf(workspace)).includes('analytics_prod')).toBe(isWritten)
})

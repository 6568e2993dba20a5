// Imports point one way (docs/architecture.md): each rule says what must not be imported from where.
const from = (path, pathNot) => ({ path, ...(pathNot ? { pathNot } : {}) })

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'workflows-are-pure',
      comment: 'The workflow bundle holds the pure vocabulary and the types of activities, nothing else.',
      severity: 'error',
      from: from('^src/workflows/'),
      to: {
        path: '^src/',
        pathNot:
          '^src/(workflows/|pipeline/(failure|identifier|alert-state|refresh-counts|plan|policies|report|duration|column-type|byte-size|dbt-command|node-bars|warm|lease|backfill|logical-date)\\.ts$)',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'workflows-import-no-drivers',
      severity: 'error',
      from: from('^src/workflows/'),
      to: { dependencyTypes: ['npm', 'core'], pathNot: '@temporalio/(workflow|common)/' },
    },
    {
      name: 'pipeline-depends-on-nothing',
      severity: 'error',
      from: from('^src/pipeline/', '\\.test\\.ts$'),
      to: { path: '^src/', pathNot: '^src/pipeline/' },
    },
    {
      name: 'platform-depends-on-vocabulary-only',
      severity: 'error',
      from: from('^src/platform/', '\\.test\\.ts$'),
      to: { path: '^src/', pathNot: '^src/(platform|pipeline)/' },
    },
    {
      name: 'parts-do-not-reach-up',
      comment: 'ingest, dbt, sources and warehouses are used by activities, never the other way round.',
      severity: 'error',
      from: from('^src/(alerts|ingest|dbt|sources|warehouses|pipeline|platform)/', '\\.test\\.ts$'),
      to: { path: '^src/(activities|workflows|cli|schedules|temporal|worker|client)' },
    },
    {
      name: 'activities-do-not-know-their-caller',
      severity: 'error',
      from: from('^src/activities/'),
      to: { path: '^src/(workflows|cli|schedules|temporal|worker|client)' },
    },
    {
      name: 'one-owner-of-duckdb',
      severity: 'error',
      from: from('^src/', '^src/platform/duckdb\\.ts$'),
      to: { path: '@duckdb/' },
    },
    {
      name: 'one-owner-of-postgres',
      severity: 'error',
      from: from('^src/', '^src/platform/postgres\\.ts$|\\.test\\.ts$'),
      to: { path: 'node_modules/(pg|pg-copy-streams)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'one-owner-of-bigquery',
      severity: 'error',
      from: from('^src/', '^src/platform/bigquery/'),
      to: { path: '(@google-cloud/|google-auth-library)' },
    },
    {
      name: 'one-owner-of-smtp',
      severity: 'error',
      from: from('^src/', '^src/alerts/email\\.ts$'),
      to: { path: 'node_modules/(@types/)?nodemailer/' },
    },
    {
      name: 'one-owner-of-subprocesses',
      comment: 'The Temporal server and dbt are started in these places only.',
      severity: 'error',
      from: from('^src/', '^src/(platform/subprocess|temporal/dev-server)\\.ts$|\\.test\\.ts$'),
      to: { path: '(execa|^child_process$|^node:child_process$)' },
    },
    {
      name: 'product-does-not-import-tests',
      severity: 'error',
      from: from('^src/', '\\.test\\.ts$'),
      to: { path: '^(tests|tools|bench)/' },
    },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^tools/temporal-dev-server|^dbt/)' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.mjs', '.js', '.json'],
      conditionNames: ['import', 'require', 'node', 'default'],
      exportsFields: ['exports'],
    },
  },
}

// The hash of what is asked for is the one that dbt writes into its lock.
import { expect, test } from 'vitest'
import { makeProject } from '../../../tests/support/packages-project.ts'
import { packagesAskedFor } from './hash.ts'

/**
 * Files and the sha1_hash that dbt-core 1.12.6 makes of them. Recorded by writing the file beside a dbt_project.yml and
 * calling, in dbt's Python: `p = PartialProject.from_project_root(dir).render(DbtProjectYamlRenderer(None, {}, False))`
 * (dbt.config.project, dbt.config.renderer) and `_create_sha1_hash(p.packages.packages)` (dbt.task.deps).
 */
const HASHES: readonly (readonly [what: string, packages: string, hash: string])[] = [
  [
    'a hub package',
    'packages:\n  - package: dbt-labs/dbt_utils\n    version: 1.1.1\n',
    'a158c48c59c2bb7d729d2a4e215aabe5bb4f3353',
  ],
  [
    'a range of versions',
    'packages:\n  - package: dbt-labs/dbt_utils\n    version: [">=1.0.0", "<2.0.0"]\n    install_prerelease: true\n',
    '0e2aafdfe3b75c5e70f121fa79cd7a8618b7b499',
  ],
  [
    'versions as numbers',
    "packages:\n  - package: a/b\n    version: [1, 2.0, '3']\n",
    '71c08e3bc63007ddcab707e9cd5eb95301efd98f',
  ],
  ['a local package', 'packages:\n  - local: ../shared\n', '53460d18ca8def45b75ffa63372a22024e7a53b6'],
  [
    'a git package with everything',
    'packages:\n  - git: https://example.org/é.git\n    revision: 1e10\n    warn-unpinned: false\n    subdirectory: dbt\n',
    '354bb9fa3f01e67e3893289b866b84ca8d1a6fbc',
  ],
  [
    'a revision of digits',
    'packages:\n  - git: https://example.org/x.git\n    revision: 1234567\n',
    '0198fcc1c1a26b206c074e8e16f523010afb0020',
  ],
  [
    'a tarball',
    'packages:\n  - tarball: https://example.org/x.tgz\n    name: x\n',
    'ae9dfa653de2ceb6594f2d71ff793659f5e1df53',
  ],
  [
    'a private package',
    'packages:\n  - private: org/repo\n    provider: github\n    revision: main\n',
    '15dd1c92031cd473e193401452ac54b6ac52b8a7',
  ],
]

test.each(HASHES)('%s is hashed as dbt does', async (_, packages, hash) => {
  expect((await packagesAskedFor(await makeProject({ 'packages.yml': packages }))).hash).toBe(hash)
})

test('what dbt would render has no hash that we know, but dbt does not render dependencies.yml', async () => {
  const rendered = "packages:\n  - local: '{{ x }}'\n"
  expect((await packagesAskedFor(await makeProject({ 'packages.yml': rendered }))).hash).toBeUndefined()
  const project = await makeProject({ 'dependencies.yml': `projects:\n  - name: other\n${rendered}` })
  // Recorded as above.
  expect((await packagesAskedFor(project)).hash).toBe('bb6d3ff0f8e90089c50974cad84228ad53887174')
})

test.each([
  ['dbt would refuse', '- local: ../x\n    colour: red'],
  ['Python writes in another form', '- git: x\n    revision: 1.0e+20'],
])('packages that %s have no hash', async (_, entry) => {
  expect(
    (await packagesAskedFor(await makeProject({ 'packages.yml': `packages:\n  ${entry}\n` }))).hash,
  ).toBeUndefined()
})

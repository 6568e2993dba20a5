// What is shown of a profiles.yml has no secret in it and lines where they were.
import { expect, test } from 'vitest'
import { hideSecrets } from './hide-secrets.ts'

test('values of secret settings are covered, wherever and however they are written', () => {
  const text = `shop:
  outputs:
    prod:
      type: postgres # password: hunter2
      user: someone
      password: hunter2 # the old one
      "pass": 'hunter2'
      dsn: postgres://someone:hunter2@db/shop
      keyfile_json:
        type: service_account
        private_key: |
          hunter2
          hunter2
        client_email: hunter2
    dev: {type: duckdb, secrets: [{type: s3, secret: hunter2}], threads: 1}
    ci:
      password: "{{ env_var('PG', 'hunter2') }}"
      token: >-
        hunter2
      threads: 1
`
  const shown = hideSecrets(text)
  expect(shown).not.toContain('hunter2')
  expect(shown.split('\n')).toHaveLength(text.split('\n').length)
  for (const line of ['      user: someone', '    ci:', '      threads: 1', '      password: [hidden] # the old one']) {
    expect(shown.split('\n')).toContain(line)
  }
  expect(shown).toContain('dsn: postgres://someone:[hidden]@db/shop')
  expect(shown).toContain(', threads: 1}')
})

test('where a secret comes from may be seen, and what is none stays as it is', () => {
  const text = `shop:
  outputs:
    prod: # by hand
      password: "{{ env_var('DBT_ENV_SECRET_PG') }}"
      token_uri: https://oauth2.example.org/token
      impersonate_service_account: millrace-loader-prod@my-project.iam.gserviceaccount.com
`
  expect(hideSecrets(text)).toBe(text)
})

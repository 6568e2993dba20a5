// A profiles.yml that can be shown: the values of settings that hold secrets are covered, line by line.
import { isScalar, parseDocument, visit } from 'yaml'
import { isSecretKey } from '../dbt/profile-secrets.ts'
import { applyPatches, contentEnd, isBlockMap, lineStart, type ParsedPair, type Patch } from './yaml-text.ts'

/** Where a value comes from is no secret; a default written beside it may be one. */
const ONLY_A_REFERENCE = /^(["']?)\{\{\s*env_var\(\s*(["'])\w+\2\s*\)[^{}"']*\}\}\1$/

const COVER = '[hidden]'
const IN_COMMENT = /(#.*(?:pass|pwd|token|secret|private_key|api_?key)\w*["']?\s*[:=]\s*)\S.*$/gim
const IN_URL = /(\w{1,32}:\/\/[^\s:/@]{1,256}:)[^\s@/]+@/g

/** The same lines with nothing secret in them: a diff shows what stands around a change, too. */
export function hideSecrets(text: string): string {
  const patches: Patch[] = []
  visit(parseDocument(text, { prettyErrors: false, uniqueKeys: false }), {
    Pair(_at, node) {
      const pair = node as ParsedPair // of a text that was parsed
      if (!isScalar(pair.key) || !isSecretKey(String(pair.key.value)) || pair.value === null) return undefined
      const start = isBlockMap(pair.value) ? lineStart(text, pair.value.range[0]) : pair.value.range[0]
      const end = contentEnd(pair)
      const shown = text.slice(start, end)
      if (!ONLY_A_REFERENCE.test(shown)) {
        patches.push({ start, end, text: shown.replaceAll(/^([ \t]*)\S.*$/gm, `$1${COVER}`) })
      }
      return visit.SKIP
    },
  })
  return applyPatches(text, patches).replaceAll(IN_COMMENT, `$1${COVER}`).replaceAll(IN_URL, `$1${COVER}@`)
}

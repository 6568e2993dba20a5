// dbt's own files as PyYAML reads them: YAML 1.1 (merge keys, `yes` and `off`), the last of two equal keys counts.
import { LineCounter, parseDocument, type ScalarTag, type Tags } from 'yaml'

export type ReadYaml = { readonly value: unknown } | { readonly problem: string }

const bool = (value: boolean, test: RegExp): ScalarTag => ({
  tag: 'tag:yaml.org,2002:bool',
  default: true,
  test,
  resolve: () => value,
})

/** Unlike the library's, without y and n. */
const PYYAML_BOOLS = [
  bool(true, /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/),
  bool(false, /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/),
]
/** Dates stay the text that dbt makes of them again. */
const NOT_THE_LIBRARYS = ['tag:yaml.org,2002:bool', 'tag:yaml.org,2002:timestamp']

function pyyamlTags(tags: Tags): Tags {
  return [...PYYAML_BOOLS, ...tags.filter((tag) => typeof tag === 'string' || !NOT_THE_LIBRARYS.includes(tag.tag))]
}

/** `problem` says where, and never repeats what stands there: it may be a password. */
export function readYaml(text: string): ReadYaml {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    version: '1.1',
    customTags: pyyamlTags,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
    lineCounter: lines,
  })
  const [fault] = [...document.errors, ...document.warnings]
  if (fault !== undefined) {
    const { line, col } = lines.linePos(fault.pos[0])
    return { problem: `line ${line}, column ${col} (${fault.code.toLowerCase().replaceAll('_', ' ')})` }
  }
  try {
    return { value: document.toJS() }
  } catch {
    return {
      problem: 'an alias (*name) in it has no anchor (&name) before it; put a text that begins with * in quotes',
    }
  }
}

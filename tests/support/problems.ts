// Pipeline files that are wrong, with `¦` where a problem is expected.
import { parsePipeline, problemText } from '../../src/pipeline/load.ts'

/** `line:column` of each mark, counted by hand: lines before it, characters since the last line end. */
export function places(marked: string): string[] {
  const before = marked.split('¦').slice(0, -1)
  return before.map((_, index) => {
    const lines = before
      .slice(0, index + 1)
      .join('')
      .split('\n')
    return `${lines.length}:${(lines.at(-1) ?? '').length + 1}`
  })
}

/** What is said of a pipeline `daily`, without its marks. */
export function problemsOf(marked: string): string[] {
  const result = parsePipeline(marked.replaceAll('¦', ''), 'daily.yml', 'daily')
  return 'problems' in result ? result.problems.map(problemText) : []
}

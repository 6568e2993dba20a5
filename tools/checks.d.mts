export declare const CHECKS: Readonly<Record<string, readonly string[]>> & {
  'imports (dependency-cruiser)': readonly string[]
}
export declare function runCheck(command: readonly string[]): Promise<{ code: number | null; output: string }>

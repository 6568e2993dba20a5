// How often the properties of the CSV reader are tried: MILLRACE_FUZZ_RUNS, for a long search by night.
export const FUZZ_RUNS = Number(process.env['MILLRACE_FUZZ_RUNS'] ?? 700)

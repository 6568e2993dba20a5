// Kinds of values that stand in several places of a pipeline file.
import { z } from 'zod'
import { BYTE_SIZE_PATTERN } from './byte-size.ts'
import { DURATION_PATTERN } from './duration.ts'
import { isIdentifier } from './identifier.ts'

export const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'expected lower-case letters, digits and dashes, starting with a letter')
export const identifier = z.string().refine(isIdentifier, 'expected a name of lower-case letters, digits and _')
export const duration = z.string().regex(DURATION_PATTERN, 'expected a duration such as 30s, 10m, 6h or 1d')
export const byteSize = z.string().regex(BYTE_SIZE_PATTERN, 'expected a size such as 500 MB, 20 GB or 1 TB')
export const share = z.number().min(0).max(1)
export const count = z.int().min(0)
export const nonEmptyText = z.string().min(1)
export const scalarValue = z.union([z.string(), z.number(), z.boolean()], 'expected a text, a number, true or false')

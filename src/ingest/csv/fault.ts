// What can be wrong with a record's bytes.

/** Why a record's bytes are not a record of this table. Stable: they stand in rejects tables. */
export type StructureFault =
  | 'too few fields'
  | 'too many fields'
  | 'bare quote'
  | 'text after quote'
  | 'unclosed quote'
  | 'after broken quote'
  | 'bad escape'
  | 'bare carriage return'
  | 'bare line feed'
  | 'NUL byte'
  | 'invalid encoding'
  | 'field too long'
  | 'record too long'

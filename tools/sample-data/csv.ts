// RFC 4180 with LF line ends. A missing value is an empty field without quotes, an empty text is "".

export type Field = string | null

export function encodeField(field: Field): string {
  if (field === null) return ''
  return field === '' || /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field
}

/** Without the line end. */
export function encodeRecord(fields: readonly Field[]): string {
  return fields.map(encodeField).join(',')
}

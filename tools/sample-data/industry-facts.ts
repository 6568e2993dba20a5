// What there is and what happens in industrial zones, before it becomes files.

export type Company = { readonly id: string; readonly name: string; readonly sector: string; readonly risk: string }
export type Zone = { readonly id: string; readonly name: string; readonly region: string }
/** Land is in hundredths of a hectare, money in hundredths (of a dirham), everywhere. */
export type Allocation = {
  readonly id: string
  readonly zone: Zone
  readonly company: Company
  readonly on: string
  readonly land: number
  readonly investment: number
  readonly status: string
}
export type Indemnity = {
  readonly id: string
  readonly allocation: Allocation
  readonly askedOn: string
  readonly paidOn: string | null
  readonly amount: number
}
export type JobReport = {
  readonly id: string
  readonly allocation: Allocation
  readonly on: string
  readonly jobs: number
  readonly women: number
}
export type Invoice = {
  readonly id: string
  readonly allocation: Allocation
  readonly on: string
  readonly dueOn: string
  readonly amount: number
  readonly paid: number
  /** When the accounting system last touched it. */
  readonly changedAt: string
}

// What the fake Météo-France observes: every value follows from station and hour alone, so that anyone can compute it again.

export const HOUR_MS = 3_600_000
/** An hour's observations appear so long after it. */
const DELAY_MS = 10 * 60_000

export interface Station {
  readonly id: string
  readonly name: string
  readonly department: string
  readonly lat: number
  readonly lon: number
  readonly altitude: number
  /** Small ones measure temperature and rain only. */
  readonly pack: 'RADOME' | 'ETENDU'
}

const station = (id: string, name: string, department: string, lat: number, lon: number, altitude: number) =>
  ({ id, name, department, lat, lon, altitude, pack: Number(id) % 2 === 0 ? 'RADOME' : 'ETENDU' }) as const

export const STATIONS: readonly Station[] = [
  station('01014002', 'ARBENT', '1', 46.278167, 5.669, 534),
  station('09024004', 'ASTON', '9', 42.724833, 1.675833, 1781),
  station('09122001', 'FOIX', '9', 42.9705, 1.599, 384),
  station('09289002', 'ST GIRONS', '9', 43.005333, 1.106667, 414),
  station('20004002', 'AJACCIO', '2A', 41.918, 8.792667, 5),
  station('20148001', 'BASTIA', '2B', 42.540667, 9.485167, 10),
  station('31069001', 'TOULOUSE-BLAGNAC', '31', 43.621, 1.378833, 151),
  station('97105003', 'LE RAIZET', '971', 16.264, -61.516333, 11),
]

export const COLUMNS = {
  v1: 'lat;lon;geo_id_insee;reference_time;insert_time;validity_time;t;td;tx;tn;u;ux;un;dd;ff;dxy;fxy;dxi;fxi;rr1;t_10;t_20;t_50;t_100;vv;etat_sol;sss;n;insolh;ray_glo01;pres;pmer',
  v2: 'lat;lon;geo_id_insee;reference_time;insert_time;validity_time;t;td;tx;tn;u;ux;un;dd;ff;dxy;fxy;ddraf;raf;rr1;t_10;t_20;t_50;t_100;vv;etat_sol;sss;n;insolh;ray_glo01;pres;pmer',
} as const

/** The last 24 hours of a department as the API would answer at that time: a header, then a line per station and hour. */
export function hourlyCsv(version: 'v1' | 'v2', department: string, nowMs: number): string {
  const newest = Math.floor((nowMs - DELAY_MS) / HOUR_MS) * HOUR_MS
  const hours = Array.from({ length: 24 }, (_, back) => newest - (23 - back) * HOUR_MS)
  const lines = STATIONS.filter((each) => each.department === department).flatMap((each) =>
    hours.map((hour) => observation(each, hour, nowMs)),
  )
  return [COLUMNS[version], ...lines].map((line) => `${line}\n`).join('')
}

/** Every sixth hour is published a second time, three hours later, with 0.4 kelvin more. */
function observation({ id, lat, lon, altitude, pack }: Station, hourMs: number, nowMs: number): string {
  const again = (hourMs / HOUR_MS) % 6 === 0 && nowMs >= hourMs + DELAY_MS + 3 * HOUR_MS
  const at = (afterMs: number) => new Date(hourMs + afterMs).toISOString().replace('.000', '')
  const noise = (name: string, below: number) => hash(`${id}/${hourMs}/${name}`) % below
  const hour = new Date(hourMs).getUTCHours()
  const t = 275 + noise('t', 120) / 10 + (again ? 0.4 : 0)
  const full = pack === 'RADOME'
  const ifFull = (value: string | number) => (full ? String(value) : '')
  const dd = (noise('dd', 36) + 1) * 10
  const ff = noise('ff', 90) / 10
  return [
    lat.toFixed(6),
    lon.toFixed(6),
    id,
    at(DELAY_MS + 7_000 + (again ? 3 * HOUR_MS : 0)),
    at(276_000),
    at(0),
    t.toFixed(2),
    ifFull((t - 2).toFixed(2)),
    (t + 0.8).toFixed(2),
    (t - 0.9).toFixed(2),
    ifFull(60 + noise('u', 40)),
    ifFull(99),
    ifFull(55),
    ifFull(dd),
    ifFull(ff.toFixed(1)),
    ifFull(dd),
    ifFull((ff + 1).toFixed(1)),
    ifFull(dd),
    ifFull((ff + 3.2).toFixed(1)),
    (noise('rr1', 5) === 0 ? noise('mm', 40) / 10 : 0).toFixed(1),
    '',
    '',
    '',
    '',
    ifFull(2_000 + noise('vv', 18_000)),
    '',
    ifFull(altitude > 1_500 ? '0.12' : '0'),
    ifFull(noise('n', 9)),
    ifFull(hour > 6 && hour < 17 ? noise('insolh', 61) : 0),
    ifFull(hour > 6 && hour < 17 ? noise('ray', 2_000_000) : 0),
    ifFull(101_500 - altitude * 11),
    ifFull(101_500 + noise('pmer', 300)),
  ].join(';')
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0
  return value
}

export function stationsCsv(): string {
  const head = 'Id_station;Id_omm;Nom_usuel;Latitude;Longitude;Altitude;Date_ouverture;Pack'
  const lines = STATIONS.map(({ id, name, lat, lon, altitude, pack }) =>
    [id, '', name, lat.toFixed(6), lon.toFixed(6), altitude, '2003-10-01', pack].join(';'),
  )
  return [head, ...lines].map((line) => `${line}\n`).join('')
}

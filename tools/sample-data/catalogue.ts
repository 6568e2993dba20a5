// What the sample platform shows. The titles are invented, and chosen to be hard on a CSV reader.

import { createRandom, shuffled, weightedPicker, type Picker } from './random.ts'

type ContentType = 'film' | 'episode' | 'documentary' | 'short' | 'live'

export type Content = {
  readonly contentId: string
  readonly title: string
  readonly seriesTitle: string | null // null: not part of a series
  readonly type: ContentType
  readonly durationSeconds: number | null // null: a live stream has no length
}

type Entry = Omit<Content, 'contentId'>

const films: readonly (readonly [title: string, minutes: number])[] = [
  ['Midnight, or Thereabouts', 104],
  ['The "Quiet" Hour', 96],
  ['Café des Marées', 88],
  ['東京の雨傘', 112],
  ['Über den Dächern von Morgen', 99],
  ['Наш север, наш юг', 121],
  ['서울, 새벽 네 시', 108],
  ['عبر النهر', 94],
  ['Señora Niebla', 101],
  ['Two Lines\nOne Road', 90],
  ['NULL', 83], // a text that careless readers take for a missing value
  ['true', 85],
  ['0042', 100],
  ['=SUM(Us)', 91],
  ['1,000 Paper Boats', 117],
  ['La Dernière Crêpe 🥞', 92],
  ['Złoty Środek', 97],
  ['O Verão Não Acaba', 105],
  ['夜航船', 127],
  ['Salt & Iron', 118],
  ['He Said "No", She Said "Maybe"', 95],
  ["The Cartographer's Daughter", 113],
  ['Smoke on the Ninth Floor', 109],
  ['A Very Long Way to Say Nothing at All, Told in Seven Parts', 142],
  ['Þögn', 89],
  ['Đường Về', 98],
  ['Dağın Ardı', 116],
  ['Winter Light Company', 106],
  ['The Ferryman of Oulu', 103],
  ['Hôtel du Quai Nord', 111],
]

const documentaries: readonly (readonly [title: string, minutes: number])[] = [
  ['Deep Blue: 10 Metres 🌊', 58],
  ['Bread, Salt, Water', 74],
  ['What Bees Know', 52],
  ['Le Fleuve et la Ville', 81],
  ['砂漠の鉄道', 49],
  ['Beneath the Ice', 63],
  ['The Glassblowers', 55],
  ["Histoire d'une digue", 90],
  ['Volcanoes / Volcans / Vulkane', 47],
  ['How a Watch Is Made', 44],
]

const shorts: readonly (readonly [title: string, minutes: number])[] = [
  ['Ping', 7],
  ['Un chat, deux toits', 12],
  ['猫', 9],
  ['👩‍👩‍👧 Sunday', 14],
  ['One Take', 11],
  ['Cafe\u0301', 6], // an accent as a combining character
  ['7 a.m.', 8],
]

const liveStreams = [
  'Mountain Cam',
  'Football: Round 12',
  'Opera Night: "Das Meer"',
  'Chess Masters, Final Day',
] as const

type Series = { readonly title: string; readonly minutes: number; readonly episodes: readonly string[] }

const seriesList: readonly Series[] = [
  {
    title: 'Harbour Lights',
    minutes: 47,
    episodes: [
      'Arrivals',
      'Fog',
      "The Pilot's Wife",
      'Ropes, Knots',
      '"Mayday"',
      'Low Tide',
      'High Tide',
      'Departures',
    ],
  },
  {
    title: 'La Brigade des Brumes',
    minutes: 52,
    episodes: ["L'appel", 'Nuit blanche', 'Le témoin', 'Aveux, désaveux', 'La grève', "L'été d'après"],
  },
  { title: 'The Last Archivist', minutes: 55, episodes: ['A–C', 'D–F', 'G–K', 'L–N', 'O–S', 'T–Z'] },
  { title: '深夜列車', minutes: 24, episodes: numbered(8, (n) => `第${n}話`) },
  { title: 'Kollegen!', minutes: 28, episodes: numbered(10, (n) => `Folge ${n}`) },
  { title: 'Ciudad Salina', minutes: 44, episodes: numbered(8, (n) => `Capítulo ${n}`) },
  { title: 'Små Øyer', minutes: 41, episodes: numbered(6, (n) => `Episode ${n}`) },
  { title: 'Pixel & Bean', minutes: 11, episodes: numbered(12, (n) => `No. ${n}`) },
]

function numbered(count: number, title: (number: number) => string): string[] {
  return Array.from({ length: count }, (_, index) => title(index + 1))
}

function single(type: ContentType, [title, minutes]: readonly [string, number]): Entry {
  return { title, seriesTitle: null, type, durationSeconds: minutes * 60 }
}

function episodesOf(series: Series): Entry[] {
  return series.episodes.map((title, index) => ({
    title,
    seriesTitle: series.title,
    type: 'episode',
    durationSeconds: series.minutes * 60 + ((index * 37) % 90),
  }))
}

/** In the order of release; an episode stands directly before the next one of its series. */
export const catalogue: readonly Content[] = [
  ...seriesList.flatMap(episodesOf),
  ...films.map((film) => single('film', film)),
  ...documentaries.map((documentary) => single('documentary', documentary)),
  ...shorts.map((short) => single('short', short)),
  ...liveStreams.map((title): Entry => ({ title, seriesTitle: null, type: 'live', durationSeconds: null })),
].map(withId)

function withId(entry: Entry, index: number): Content {
  return { contentId: `c${String(index * 7 + 3).padStart(5, '0')}`, ...entry }
}

/**
 * What somebody sits down for. Popularity follows Zipf: the n-th favourite is chosen in proportion to 1 / (n + 2). Few choose an episode in the
 * middle of a series; they get there by the one before.
 */
export const popularContent: Picker<Content> = weightedPicker(
  shuffled(createRandom('popularity'), catalogue),
  (content, index) => (isLaterEpisode(content) ? 0.15 : 1) / (index + 3),
)

function isLaterEpisode(content: Content): boolean {
  const previous = catalogue[catalogue.indexOf(content) - 1]
  return content.seriesTitle !== null && previous?.seriesTitle === content.seriesTitle
}

/** The next episode of the same series; undefined after the last one, and for what is not a series. */
export function nextEpisode(content: Content): Content | undefined {
  if (content.seriesTitle === null) return undefined
  const next = catalogue[catalogue.indexOf(content) + 1]
  return next?.seriesTitle === content.seriesTitle ? next : undefined
}

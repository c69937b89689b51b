import { useId } from 'react'

import { number, time } from '../i18n'

export interface Series {
  name: string
  /** CSS colour, one of the theme's: `var(--chart-1)` to `var(--chart-4)`. */
  color: string
  /** One value a point in time; null: not known then. */
  values: (number | null)[]
  /** A dashed line, so that colour is not the only difference. */
  dashed?: boolean
}

interface Props {
  /** What the picture shows; it is its name for those who cannot see it. */
  title: string
  /** The times of the points, ISO. */
  at: string[]
  series: Series[]
  format?: (value: number) => string
  /** A horizontal line with a name, such as a limit. */
  limit?: { name: string; value: number }
}

const WIDTH = 640
const HEIGHT = 200
const EDGE = { left: 44, right: 8, top: 10, bottom: 22 }

/** Lines over time as a picture, with its numbers as a table for those who do not see it. */
export function Chart({ title, at, series, format = (value) => number(value), limit }: Props) {
  const id = useId()
  const known = series.flatMap(({ values }) => values.filter((value) => value !== null))
  const top = nice(Math.max(limit?.value ?? 0, ...known, 0))
  const x = (place: number) => EDGE.left + (place * (WIDTH - EDGE.left - EDGE.right)) / Math.max(at.length - 1, 1)
  const y = (value: number) => HEIGHT - EDGE.bottom - (value * (HEIGHT - EDGE.top - EDGE.bottom)) / top
  const marks = [0, top / 2, top]
  return (
    <figure className="chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-labelledby={id}>
        <title id={id}>{title}</title>
        {marks.map((value) => (
          <g key={value}>
            <line className="grid" x1={EDGE.left} x2={WIDTH - EDGE.right} y1={y(value)} y2={y(value)} />
            <text x={EDGE.left - 6} y={y(value) + 4} textAnchor="end">
              {format(value)}
            </text>
          </g>
        ))}
        {at.length ? (
          <>
            <text x={EDGE.left} y={HEIGHT - 5}>{time(at[0] ?? '')}</text>
            <text x={WIDTH - EDGE.right} y={HEIGHT - 5} textAnchor="end">{time(at.at(-1) ?? '')}</text>
          </>
        ) : null}
        {limit ? (
          <g>
            <line className="limit" x1={EDGE.left} x2={WIDTH - EDGE.right} y1={y(limit.value)} y2={y(limit.value)} />
            <text x={WIDTH - EDGE.right} y={y(limit.value) - 4} textAnchor="end">{limit.name}</text>
          </g>
        ) : null}
        {series.map(({ name, color, values, dashed }) => (
          <path
            key={name}
            d={path(values, x, y)}
            stroke={color}
            strokeDasharray={dashed ? '6 4' : undefined}
            className="line"
          />
        ))}
      </svg>
      <figcaption className="legend">
        {series.map(({ name, color, dashed }) => (
          <span key={name}>
            <svg viewBox="0 0 20 8" aria-hidden="true">
              <line x1="0" x2="20" y1="4" y2="4" stroke={color} strokeWidth="3" strokeDasharray={dashed ? '6 4' : undefined} />
            </svg>
            {name}
          </span>
        ))}
      </figcaption>
      <div className="unseen">
        <table>
          <caption>{title}</caption>
          <tbody>
            {series.map(({ name, values }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                {values.map((value, place) => (
                  <td key={at[place] ?? place}>{value === null ? '–' : format(value)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  )
}

/** The next of 1, 2, 5, 10, 20, … that is at least `value`. */
function nice(value: number): number {
  if (value <= 0) return 1
  const size = 10 ** Math.floor(Math.log10(value))
  return size * ([1, 2, 5, 10].find((step) => step * size >= value) ?? 10)
}

function path(values: (number | null)[], x: (place: number) => number, y: (value: number) => number): string {
  let drawn = ''
  values.forEach((value, place) => {
    if (value === null) return
    const [before, after] = [values[place - 1] ?? null, values[place + 1] ?? null]
    drawn += `${before === null ? 'M' : 'L'}${x(place).toFixed(1)},${y(value).toFixed(1)}`
    if (before === null && after === null) drawn += 'h0' // a dot, for what is known at one time alone
  })
  return drawn
}

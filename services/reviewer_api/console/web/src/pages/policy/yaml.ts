/** A policy as YAML that the API reads back: blocks for what has parts, JSON's own quotes where a word needs them. */
const PLAIN = /^[A-Za-z][A-Za-z0-9_ -]*$/
const WORDS = new Set(['true', 'false', 'null', 'yes', 'no', 'on', 'off', 'y', 'n'])

export function yaml(value: unknown, depth = 0): string {
  const pad = '  '.repeat(depth)
  if (Array.isArray(value)) {
    return value.length ? value.map((each) => `\n${pad}- ${yaml(each, depth + 1).trimStart()}`).join('') : ' []'
  }
  if (value && typeof value === 'object') {
    const set = Object.entries(value).filter(([, each]) => each !== null && each !== undefined)
    if (!set.length) return ' {}'
    const lines = set.map(([name, each]) => `${pad}${scalar(name)}:${yaml(each, depth + 1)}`)
    return (depth ? '\n' : '') + lines.join('\n')
  }
  return ` ${scalar(value)}`
}

function scalar(value: unknown): string {
  if (typeof value !== 'string') return String(value)
  return PLAIN.test(value) && !WORDS.has(value.toLowerCase()) && value === value.trim() ? value : JSON.stringify(value)
}

export interface Line {
  text: string
  is: 'same' | 'new' | 'gone'
}

/** The lines of both texts in order: the longest common part stays (Hunt and McIlroy 1976, by the plain table). */
export function difference(before: string, after: string): Line[] {
  const [old, now] = [before.split('\n'), after.split('\n')]
  const common = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1))
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      const row = common[i] as Uint16Array
      const below = common[i + 1] as Uint16Array
      row[j] = old[i] === now[j] ? (below[j + 1] ?? 0) + 1 : Math.max(below[j] ?? 0, row[j + 1] ?? 0)
    }
  }
  const lines: Line[] = []
  let [i, j] = [0, 0]
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      lines.push({ text: old[i] ?? '', is: 'same' })
      i += 1
      j += 1
    } else if (j < now.length && (i >= old.length || (common[i]?.[j + 1] ?? 0) >= (common[i + 1]?.[j] ?? 0))) {
      lines.push({ text: now[j] ?? '', is: 'new' })
      j += 1
    } else {
      lines.push({ text: old[i] ?? '', is: 'gone' })
      i += 1
    }
  }
  return lines
}

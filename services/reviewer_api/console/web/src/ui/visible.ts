/** Characters that hide or reorder text, made visible. Pure. */

export interface Part {
  text: string
  /** Set where the part stands for one hidden character: its code point, as `U+202E`. */
  code: string | null
}

// Controls but tab and line breaks, soft hyphen, Arabic letter mark, Hangul fillers, zero-width and bidi characters, line
// separators, invisible operators, the byte order mark, interlinear marks, tags.
const HIDDEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\u{e0000}-\u{e0fff}]/gu
const JOINER = '\u200d'
const PICTURE = /\p{Extended_Pictographic}[\u{1f3fb}-\u{1f3ff}\ufe0f]?$/u
const NEXT_PICTURE = /^\p{Extended_Pictographic}/u

/** The text in parts that read one after the other; hidden characters are parts of their own. */
export function visible(text: string): Part[] {
  const parts: Part[] = []
  let from = 0
  for (const found of text.matchAll(HIDDEN)) {
    const at = found.index
    const [character] = found
    // Families and flags are one emoji, joined by a character that hides nothing.
    if (character === JOINER && PICTURE.test(text.slice(Math.max(0, at - 4), at)) && NEXT_PICTURE.test(text.slice(at + 1))) continue
    if (at > from) parts.push({ text: text.slice(from, at), code: null })
    parts.push({ text: character, code: `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}` })
    from = at + character.length
  }
  if (from < text.length || !parts.length) parts.push({ text: text.slice(from), code: null })
  return parts
}

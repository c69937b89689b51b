/** When a text is covered and when a break is due. Pure. */
import type { PolicyLabel, TaskContext } from '../../api/types'
import type { Settings } from '../../app/settings'

/** From which severity on a label counts as severe: as set for this browser, or the policy's highest. */
export function severeFrom({ severeFrom }: Settings, labels: readonly PolicyLabel[]): number {
  return severeFrom ?? Math.max(...labels.map(({ severity }) => severity), 1)
}

export const severeLabels = (settings: Settings, labels: readonly PolicyLabel[]): Set<string> =>
  new Set(labels.filter(({ severity }) => severity >= severeFrom(settings, labels)).map(({ name }) => name))

/**
 * Whether the text of an item is covered at first. What the model thinks of it is no reason: that would tell audits from
 * other items. `context`: undefined while it is not known, null where there is none.
 */
export function isCovered(
  settings: Settings,
  labels: readonly PolicyLabel[],
  chosen: readonly string[],
  context: TaskContext | null | undefined,
): boolean {
  if (settings.veil !== 'severe') return settings.veil === 'always'
  if (context === undefined) return true
  const severe = severeLabels(settings, labels)
  const known = [...chosen, ...(context?.author?.labels ?? []).map(({ label }) => label)]
  return known.some((label) => severe.has(label))
}

/** How a stretch of work looks: severe items in a row, and when it began, in milliseconds. */
export interface Stretch {
  severe: number
  since: number
}

export function breakDue(settings: Settings, { severe, since }: Stretch, now: number): 'severe' | 'time' | null {
  if (settings.severeInARow > 0 && severe >= settings.severeInARow) return 'severe'
  if (settings.breakEvery > 0 && now - since >= settings.breakEvery * 60_000) return 'time'
  return null
}

/** What the person can do now: pages and the open page name their commands, keys and the palette run them. */
import { useEffect, useSyncExternalStore } from 'react'

export interface Command {
  id: string
  title: string
  /** A single key, as `event.key` has it; null: in the palette only. */
  key: string | null
  run: () => void
  /** In the sheet of keys under this heading. */
  group: string
}

let lists: (readonly Command[])[] = []
let all: readonly Command[] = []
const listeners = new Set<() => void>()

function changed(next: (readonly Command[])[]): void {
  lists = next
  all = lists.flat()
  listeners.forEach((listener) => listener())
}

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Offer these commands while the component is there. Keep the list the same between renders (useMemo). */
export function useCommands(commands: readonly Command[]): void {
  useEffect(() => {
    changed([...lists, commands])
    return () => changed(lists.filter((each) => each !== commands))
  }, [commands])
}

export const useAllCommands = (): readonly Command[] => useSyncExternalStore(subscribe, () => all)

/** The command of a key, unless the person types into a field, a dialog is open, or a modifier is held. */
export function commandOf(event: KeyboardEvent): Command | null {
  const target = event.target instanceof Element ? event.target : null
  const typing = target?.closest('input, textarea, select, [contenteditable], [role=dialog], [role=alertdialog]')
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('[role=dialog]')) return null
  return all.findLast((command) => command.key === event.key.toLowerCase()) ?? null
}

/** Short messages in the corner: `toast({ text })`. They are read out, and stay while the pointer or focus is on them. */
import { useEffect, useState, useSyncExternalStore } from 'react'

import { useShellMessages } from '../app/messages'
import { Button } from './Button'
import { Cross } from './icons'

export interface Toast {
  text: string
  kind?: 'good' | 'bad' | 'info'
  /** How long it stays, in seconds. */
  seconds?: number
  /** A toast of the same id takes its place. */
  id?: string
}

interface Shown extends Required<Toast> {
  key: number
}

let shown: readonly Shown[] = []
let last = 0
const listeners = new Set<() => void>()

function show(next: readonly Shown[]): void {
  shown = next
  listeners.forEach((listener) => listener())
}

export function toast({ text, kind = 'info', seconds = 8, id = '' }: Toast): void {
  const key = ++last
  show([...shown.filter((each) => !id || each.id !== id).slice(-2), { text, kind, seconds, id, key }])
}

const dismiss = (key: number) => show(shown.filter((each) => each.key !== key))
const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Where toasts appear; the shell has it once. */
export function Toasts() {
  const list = useSyncExternalStore(subscribe, () => shown)
  const text = useShellMessages()
  return (
    <div className="toasts" role="region" aria-label={text.messages}>
      <div role="log" aria-live="polite">
        {list.map((each) => (
          <OneToast key={each.key} toast={each} onClose={() => dismiss(each.key)} />
        ))}
      </div>
    </div>
  )
}

function OneToast({ toast: { text, kind, seconds }, onClose }: { toast: Shown; onClose: () => void }) {
  const messages = useShellMessages()
  const [held, hold] = useState(false)
  useEffect(() => {
    if (held) return
    const timer = setTimeout(onClose, seconds * 1000)
    return () => clearTimeout(timer)
  }, [held, seconds, onClose])
  return (
    <div
      className={`toast ${kind}`}
      onPointerEnter={() => hold(true)}
      onPointerLeave={() => hold(false)}
      onFocus={() => hold(true)}
      onBlur={() => hold(false)}
    >
      <span>{text}</span>
      <Button kind="quiet" label={messages.close} onPress={onClose}>
        <Cross />
      </Button>
    </div>
  )
}

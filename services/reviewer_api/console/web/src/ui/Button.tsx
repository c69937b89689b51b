import type { ReactNode } from 'react'
import { Button as Pressable } from 'react-aria-components'

interface Props {
  children: ReactNode
  onPress?: () => void
  /** `primary`: what most people want here, once a view. `danger`: cannot be taken back easily. */
  kind?: 'primary' | 'plain' | 'danger' | 'quiet' | 'approve' | 'reject'
  type?: 'button' | 'submit'
  isDisabled?: boolean
  /** It works on it: pressing again does nothing. */
  isPending?: boolean
  /** The name for a button that shows an icon alone. */
  label?: string
  /** The key that does the same, as shown on the button. */
  shortcut?: string | undefined
  isPressed?: boolean
  autoFocus?: boolean
}

/** A button. Its kinds differ in weight, never in what they can do. */
export function Button({ children, onPress, kind = 'plain', type = 'button', label, shortcut, isPressed, ...rest }: Props) {
  return (
    <Pressable
      className={`button ${kind}`}
      type={type}
      {...rest}
      {...(onPress ? { onPress } : {})}
      {...(label ? { 'aria-label': label } : {})}
      {...(isPressed === undefined ? {} : { 'aria-pressed': isPressed })}
      {...(shortcut ? { 'aria-keyshortcuts': shortcut } : {})}
    >
      {children}
      {shortcut ? <kbd aria-hidden="true">{shortcut}</kbd> : null}
    </Pressable>
  )
}

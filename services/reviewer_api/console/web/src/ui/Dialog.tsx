import type { ReactNode } from 'react'
import { Dialog as Content, Heading, Modal, ModalOverlay } from 'react-aria-components'

import { useShellMessages } from '../app/messages'
import { Button } from './Button'
import { Cross } from './icons'

interface Props {
  title: string
  children: ReactNode
  /** The dialog asks to be closed: Escape, the cross, a press beside it. Without it, it can only be answered. */
  onClose?: (() => void) | undefined
  footer?: ReactNode
  wide?: boolean
}

/** A dialog over the page. It keeps the focus in, and gives it back when it closes. Render it only while it is open. */
export function Dialog({ title, children, onClose, footer, wide }: Props) {
  const text = useShellMessages()
  return (
    <ModalOverlay
      className="overlay"
      isOpen
      isDismissable={Boolean(onClose)}
      isKeyboardDismissDisabled={!onClose}
      onOpenChange={(open) => (open ? undefined : onClose?.())}
    >
      <Modal className={wide ? 'modal wide' : 'modal'}>
        <Content className="dialog">
          <header className="dialog-head">
            <Heading slot="title" level={2}>
              {title}
            </Heading>
            {onClose ? (
              <Button kind="quiet" label={text.close} onPress={onClose}>
                <Cross />
              </Button>
            ) : null}
          </header>
          <div className="dialog-body">{children}</div>
          {footer ? <footer className="dialog-foot">{footer}</footer> : null}
        </Content>
      </Modal>
    </ModalOverlay>
  )
}

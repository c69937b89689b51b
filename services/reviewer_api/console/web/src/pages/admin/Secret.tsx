import { Button, Dialog, toast } from '../../ui'
import { useAdminMessages } from './messages'

interface Props {
  title: string
  hint: string
  secret: string
  onClose: () => void
}

/** What is shown once: a link or a key. It is kept nowhere. */
export function Secret({ title, hint, secret, onClose }: Props) {
  const text = useAdminMessages()
  const copy = async () => {
    await navigator.clipboard.writeText(secret)
    toast({ text: text.copied, kind: 'good' })
  }
  return (
    <Dialog title={title} onClose={onClose} footer={<Button kind="primary" onPress={() => void copy()}>{text.copy}</Button>}>
      <p className="muted">{hint}</p>
      <code className="secret" dir="ltr" tabIndex={0}>{secret}</code>
    </Dialog>
  )
}

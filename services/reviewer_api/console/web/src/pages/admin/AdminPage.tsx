import { useSession } from '../../app/session'
import { PageHead } from '../../ui'
import { Accounts } from './Accounts'
import { AuditLog } from './AuditLog'
import { Keys } from './Keys'
import { useAdminMessages } from './messages'
import { Webhooks } from './Webhooks'

/** Accounts, keys, webhooks and the audit log, as far as the person may see them. */
export default function AdminPage() {
  const text = useAdminMessages()
  const { may } = useSession()
  return (
    <>
      <PageHead title={text.title}>{text.lead}</PageHead>
      {may('accounts:manage') ? <Accounts /> : null}
      {may('keys:manage') ? <Keys /> : null}
      {may('webhooks:any') ? <Webhooks /> : null}
      {may('audit_log:read') ? <AuditLog /> : null}
    </>
  )
}

import { HostileText } from './HostileText'

/**
 * Where upstream keeps something: shown as text, and fetched only when somebody follows it, in a tab of its own that
 * learns nothing of this one. An address that is not of the web stays text.
 */
export const OutsideLink = ({ address }: { address: string }) =>
  isOfTheWeb(address) ? (
    <a href={address} target="_blank" rel="noopener noreferrer nofollow external" referrerPolicy="no-referrer">
      <HostileText>{address}</HostileText>
    </a>
  ) : (
    <HostileText>{address}</HostileText>
  )

/** Whether it is a plain http or https address, without a name and password that would look like a host. */
export function isOfTheWeb(address: string): boolean {
  if (!/^https?:\/\//i.test(address) || !URL.canParse(address)) return false
  const { username, password } = new URL(address)
  return !username && !password
}

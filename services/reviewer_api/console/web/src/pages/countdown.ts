import { useEffect, useState } from 'react'

import { serverNow } from '../api/client'

/** Whole seconds until `until`, by the server's clock; null where it is not known. Calls `over` at the end. */
export function useCountdown(until: number | null, over: () => void): number | null {
  const [left, setLeft] = useState<number | null>(null)
  useEffect(() => {
    const look = () => {
      const seconds = until === null ? null : Math.max(0, Math.ceil((until - serverNow()) / 1000))
      setLeft(seconds)
      if (seconds === 0) over()
    }
    look()
    const timer = setInterval(look, 250)
    return () => clearInterval(timer)
  }, [until, over])
  return left
}

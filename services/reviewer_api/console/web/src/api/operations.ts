/** Asks another service, over the reviewer API, and waits for its answer. */
import { get, NetworkError, post } from './client'
import type { Operation } from './types'

const POLL = 500
const PATIENCE = 60_000

/** No answer came in time: the other service may be down. */
export class NoAnswer extends Error {}

/** What came of `POST path`. Rejects with NoAnswer after a minute, and with what the calls reject with. */
export async function operate(path: string, body: unknown = {}): Promise<Operation> {
  const { operation_id } = await post<Operation>(path, body)
  const end = Date.now() + PATIENCE
  while (Date.now() < end) {
    await new Promise((wake) => setTimeout(wake, POLL))
    try {
      const operation = await get<Operation>(`/v1/operations/${operation_id}`)
      if (operation.done_at) return operation
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
    }
  }
  throw new NoAnswer()
}

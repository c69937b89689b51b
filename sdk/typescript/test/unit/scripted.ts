// An HTTP server that answers as a test says: busy, wrong, cut off, or lying. It notes what it was asked.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { Client, type ClientOptions } from '@second-look/client'

export const KEY = 'sl_key_of_a_test'
export const FAST = { tries: 4, first: 0.001, longest: 0.05 }

export const DECISION = {
  decision_id: '6c5dc57c-5a0c-5b6c-9a3b-0d5c2f6f4d11', source: 'forum', content_id: 'p1', revision: 1, sequence: 1024,
  outcome: 'reject', labels: ['spam'], action: 'remove', decided_by: 'model', decided_at: '2026-01-01T00:00:00Z',
  confidence: 0.99, policy_version: 1, bundle_version: 'b1', reason: '', supersedes: null,
} // prettier-ignore

export interface Asked {
  method: string
  target: string
  headers: Record<string, string | string[] | undefined>
  body: string
}

export interface Answered {
  status?: number
  body?: string
  headers?: Record<string, string>
  /** Close the connection without an answer, or after `body`, in the middle of it. */
  cut?: boolean
}

export type Script = (asked: Asked) => Answered

export interface Server {
  url: string
  asked: Asked[]
  client: Client
}

/** These answers, one after the other; the last one for ever. */
export function inTurn(...answers: Answered[]): Script {
  return () => (answers.length > 1 ? answers.shift() : answers[0]) ?? {}
}

export function problem(status: number, more: object = {}, headers: Record<string, string> = {}): Answered {
  const body = JSON.stringify({ type: '/problems/x', title: 'X', status, detail: 'what happened', ...more })
  return { status, body, headers: { 'content-type': 'application/problem+json', ...headers } }
}

export async function scripted(
  script: Script,
  use: (server: Server) => Promise<void>,
  options: Partial<ClientOptions> = {},
): Promise<Asked[]> {
  const asked: Asked[] = []
  const http = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      const one = { method, target: url, headers, body: Buffer.concat(parts).toString() }
      asked.push(one)
      const { status = 200, body = '{}', headers: more = {}, cut = false } = script(one)
      if (cut && body === '') {
        request.socket.destroy()
        return
      }
      const length = Buffer.byteLength(body) + (cut ? 1000 : 0)
      response.writeHead(status, { 'content-type': 'application/json', ...more, 'content-length': length })
      if (cut) response.write(body, () => request.socket.end())
      else response.end(body)
    })
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  try {
    await use({ url, asked, client: new Client({ key: KEY, apiUrl: url, routerUrl: url, retries: FAST, ...options }) })
  } finally {
    http.closeAllConnections()
    await new Promise((resolve) => http.close(resolve))
  }
  return asked
}

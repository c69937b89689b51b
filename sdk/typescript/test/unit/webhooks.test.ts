import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { checkSignature, UnexpectedAnswer, verifyWebhook, WebhookRefused } from '@second-look/client'

import { DECISION } from './scripted.js'

interface Row {
  name: string
  valid: boolean
  secrets: string[]
  headers: Record<string, string>
  body: string
  now: number
}

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' // the convention's published example
const NOW = 1_614_265_330
const table = process.env.WEBHOOKS
const rows = table ? (JSON.parse(readFileSync(table, 'utf8')) as Row[]) : []

function signed(body: string): Record<string, string> {
  const key = Buffer.from(SECRET.slice('whsec_'.length), 'base64')
  const signature = createHmac('sha256', key).update(`msg_1.${NOW}.${body}`).digest('base64')
  return { 'webhook-id': 'msg_1', 'webhook-timestamp': `${NOW}`, 'webhook-signature': `v1,${signature}` }
}

function message(type: string, data: unknown): string {
  return JSON.stringify({ type, timestamp: '2026-01-01T00:00:01Z', data })
}

test('the table of webhooks is there', () => assert.ok(rows.length > 40, 'WEBHOOKS names the file of webhooks'))

for (const row of rows) {
  test(`believed exactly if genuine: ${row.name}`, async () => {
    const bytes = new TextEncoder().encode(row.body)
    for (const body of [bytes, bytes.buffer, row.body]) {
      const checked = checkSignature(row.secrets, row.headers, body, { now: row.now })
      if (row.valid) assert.equal(await checked, row.headers['webhook-id'] ?? row.headers['Webhook-Id'])
      else await assert.rejects(checked, WebhookRefused)
    }
  })
}

test('the headers of fetch and of node:http are read', async () => {
  const body = message('webhook.test', {})
  const headers = signed(body)
  assert.equal(await checkSignature(SECRET, new Headers(headers), body, { now: NOW }), 'msg_1')
  const listed = { ...headers, 'webhook-signature': ['v2,x', headers['webhook-signature'] ?? ''], other: undefined }
  assert.equal(await checkSignature(SECRET, listed, body, { now: NOW }), 'msg_1')
})

test('a genuine webhook brings its decision', async () => {
  const body = message('decision.published', { ...DECISION, of_a_later_version: [1] })
  const found = await verifyWebhook(SECRET, signed(body), body, { now: NOW })
  assert.deepEqual([found.id, found.type, found.decision?.outcome, found.decision?.sequence], [
    'msg_1', 'decision.published', 'reject', 1024,
  ]) // prettier-ignore
})

test('other kinds are genuine and bring no decision', async () => {
  for (const type of ['webhook.test', 'decision.of_a_later_version']) {
    const body = message(type, {})
    assert.equal((await verifyWebhook(SECRET, signed(body), body, { now: NOW })).decision, null)
  }
})

test('what is signed and no decision is never taken for one', async () => {
  const published = [{}, null, [], 'x', { ...DECISION, outcome: 'perhaps' }, { ...DECISION, sequence: '1' }]
  for (const body of ['', '{', '[]', 'null', '1', ...published.map((data) => message('decision.published', data))]) {
    await assert.rejects(verifyWebhook(SECRET, signed(body), body, { now: NOW }), UnexpectedAnswer, body)
  }
})

test('a secret that could not refuse anything is refused itself', async () => {
  const body = message('webhook.test', {})
  for (const secrets of [[], '', 'whsec_', 'whsec_!!', 'größer', [SECRET, '']]) {
    await assert.rejects(verifyWebhook(secrets, signed(body), body, { now: NOW }), TypeError)
  }
})

test('an object in place of what arrived is named', async () => {
  await assert.rejects(checkSignature(SECRET, signed('{}'), {} as string, { now: NOW }), /what arrived/)
})

test('a clock that is not one believes nobody', async () => {
  await assert.rejects(checkSignature(SECRET, signed('{}'), '{}', { now: NaN }), WebhookRefused)
  await assert.rejects(checkSignature(SECRET, signed('{}'), '{}', { now: NOW, tolerance: NaN }), WebhookRefused)
})

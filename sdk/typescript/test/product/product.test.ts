// Against a running Second Look, in which somebody rejects what says `click` and approves the rest.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'

import { Client, Conflict, type ContentSubmitted, Invalid, NotFound, Unauthenticated } from '@second-look/client'

const { SECONDLOOK_API_KEY: key = '', SECONDLOOK_API_URL: apiUrl = '', SECONDLOOK_ROUTER_URL: routerUrl = '' } = process.env
const client = new Client({ key, apiUrl, routerUrl, retries: { tries: 40, first: 0.1, longest: 1 } })

function content(text: string, content_id: string = randomUUID()): ContentSubmitted {
  return { source: 'forum', content_id, revision: 1, text, created_at: new Date().toISOString() }
}

test('content goes in and its decision comes out of feed and stream', async () => {
  const { next: after } = await client.feedPage({ after: 'now' })
  const items = [content('click here'), content('see you'), content('click', `a/b?c#d%${randomUUID()}`)]
  for (const item of items) {
    assert.equal((await client.submit(item)).content_id, item.content_id)
    const [revision] = (await client.content('forum', item.content_id)).revisions
    assert.ok(['accepted', 'in_review', 'decided'].includes(revision?.state ?? ''), revision?.state)
  }
  const missing = new Map(items.map((item) => [item.content_id, item.text.includes('click') ? 'reject' : 'approve']))
  for await (const page of client.feed({ after, source: 'forum', wait: 10 })) {
    for (const { content_id, outcome } of page.decisions) {
      if (missing.get(content_id) === outcome) missing.delete(content_id)
    }
    if (missing.size === 0) break
  }
  const streamed = []
  for await (const one of client.stream({ after, label: 'spam' })) {
    assert.deepEqual(one.decision.labels, ['spam'])
    if (streamed.push(one) === 2) break
  }
  const { decisions } = await client.feedPage({ after: streamed[0]?.cursor ?? '', label: 'spam' })
  assert.deepEqual(decisions[0], streamed[1]?.decision, 'the cursors of stream and feed are the same')
  const known = await client.content('forum', items[0]?.content_id ?? '')
  assert.deepEqual(known.decisions.map(({ outcome }) => outcome), ['reject'])
})

test('what the product refuses comes as its own error', async () => {
  const item = content('hello')
  await client.submit(item)
  await client.submit(item)
  await assert.rejects(client.submit({ ...item, text: 'another' }), (error: Conflict) => {
    assert.deepEqual([error.constructor, error.code], [Conflict, 'revision_reused'])
    return true
  })
  await assert.rejects(client.submit({ ...item, revision: 0 }), (error: Invalid) => {
    assert.deepEqual([error.constructor, error.errors[0]?.field], [Invalid, 'revision'])
    return true
  })
  await assert.rejects(new Client({ key: 'sl_00000000_unknown', routerUrl }).submit(item), Unauthenticated)
  await assert.rejects(client.content('forum', randomUUID()), NotFound)
  await assert.rejects(client.feedPage({ after: 'of another deployment' }), Invalid)
})

test('many are accepted and all that are not are named', async () => {
  const rows = Array.from({ length: 120 }, (_, n) => ({ ...content(`text ${n}`), revision: n % 10 ? 1 : 0 }))
  rows[7] = { ...content('half \ud83d'), revision: 1 }
  const { accepted, refused } = await client.submitMany(rows, { lines: 50 })
  assert.equal(accepted, 107)
  assert.deepEqual(refused.map((one) => one.content), rows.filter((row, n) => row.revision === 0 || n === 7))
})

test('what is gone needs no decision', async () => {
  const found = await client.withdraw('forum', randomUUID(), { reason: 'deleted by its author' })
  assert.equal(found.known, false)
})

test('content is reported, and a repeat is the same report', async () => {
  const item = content('hello')
  await client.submit(item)
  const report = { reportId: `r-${item.content_id}`, reporter: 'u1', reason: 'spam' }
  assert.equal((await client.report('forum', item.content_id, report)).known, true)
  assert.equal((await client.report('forum', item.content_id, report)).known, true)
  await assert.rejects(client.report('forum', item.content_id, { ...report, reason: 'rude' }), { code: 'report_reused' })
  const early = await client.report('forum', randomUUID(), { ...report, reportId: randomUUID(), note: 'early' })
  assert.equal(early.known, false)
  await assert.rejects(client.report('forum', item.content_id, { ...report, reportId: '' }), Invalid)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type ContentSubmitted, Forbidden, UnexpectedAnswer, Unreachable } from '@second-look/client'

import { type Answered, type Asked, DECISION, inTurn, problem, scripted, type Script } from './scripted.js'

function content(number: number, text = 'hello'): ContentSubmitted {
  return { source: 'forum', content_id: `p${number}`, revision: 1, text, created_at: '2026-01-01T00:00:00Z' }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index)
}

/** Refuses every seventh item; explains the first two, and counts the others, as the router does. */
function router({ body }: Asked): Answered {
  if (body.length > 5000) return problem(413, { code: 'too_large' })
  const lines = body.split('\n').map((line) => JSON.parse(line) as ContentSubmitted)
  const wrong = lines.flatMap((line, index) => (Number(line.content_id.slice(1)) % 7 === 0 ? [index + 1] : []))
  const errors = [{ field: 'text', problem: 'is empty' }]
  const answer = {
    accepted: lines.length - wrong.length,
    refused_count: wrong.length,
    refused: wrong.slice(0, 2).map((line) => ({ line, code: 'invalid', errors, error_count: 1 })),
    refused_lines: wrong.length ? { invalid: wrong.join(',') } : {},
  }
  return { status: 202, body: JSON.stringify(answer) }
}

for (const lines of [1, 3, 10, 1000]) {
  test(`everything is sent once and what was refused is returned: batches of ${lines}`, async () => {
    const items = range(0, 40).map((number) => content(number))
    const asked = await scripted(router, async ({ client }) => {
      const { accepted, refused } = await client.submitMany(items, { lines })
      assert.equal(accepted, 34)
      assert.deepEqual(refused.map((one) => one.content), items.filter((_, index) => index % 7 === 0))
      assert.deepEqual([refused[0]?.code, refused[0]?.errors[0]?.problem], ['invalid', 'is empty'])
    })
    const sent = asked.filter(({ body }) => body.length <= 5000).flatMap(({ body }) => body.split('\n'))
    assert.deepEqual(sent.map((line) => JSON.parse(line)), items)
    assert.ok(asked.every(({ body }) => body.split('\n').length <= lines))
  })
}

test('a batch that is too large is halved down to the one item', async () => {
  const items = range(1, 9).map((number) => content(number, 'x'.repeat(number === 5 ? 9000 : 10)))
  await scripted(router, async ({ client }) => {
    const { accepted, refused } = await client.submitMany(items)
    assert.deepEqual([accepted, refused.map((one) => [one.content.content_id, one.code])], [
      6, [['p5', 'too_large'], ['p7', 'invalid']],
    ]) // prettier-ignore
  })
})

test('what cannot be written is refused, and the rest is sent', async () => {
  const wrong = { ...content(2), reach: 1n } as unknown as ContentSubmitted
  async function* rows() {
    yield* [content(1), wrong, content(3)]
  }
  const asked = await scripted(router, async ({ client }) => {
    const { accepted, refused } = await client.submitMany(rows())
    assert.deepEqual([accepted, refused[0]?.code], [2, 'malformed'])
    assert.deepEqual(await client.submitMany([]), { accepted: 0, refused: [] })
  })
  assert.equal(asked.length, 1)
})

function query({ target }: Asked): URLSearchParams {
  return new URL(target, 'http://x').searchParams
}

/** A feed of 10 decisions, with plain numbers as cursors. */
const feed: Script = (asked) => {
  const first = Number(query(asked).get('after') ?? 0)
  const numbers = range(first, Math.min(10, first + Number(query(asked).get('limit'))))
  const decisions = numbers.map((sequence) => ({ ...DECISION, sequence }))
  return { body: JSON.stringify({ decisions, next: `${first + numbers.length}`, later: 1 }) }
}

test('the feed goes on where a stored cursor stopped', async () => {
  for (const after of [undefined, '0', '4', '9']) {
    await scripted(feed, async ({ client }) => {
      const found: number[] = []
      for await (const page of client.feed({ limit: 3, wait: 0, ...(after && { after }) })) {
        found.push(...page.decisions.map(({ sequence }) => sequence))
        if (page.next === '10') break
      }
      assert.deepEqual(found, range(Number(after ?? 0), 10))
    })
  }
})

test('filters are handed on', async () => {
  const [first, second] = await scripted(feed, async ({ client }) => {
    const filter = { source: ['forum', 'chat'], label: 'spam', outcome: 'reject', decidedBy: 'model' } as const
    await client.feedPage({ after: '5', ...filter, limit: 7, wait: 2.5 })
    await client.feedPage()
  })
  const all = 'after=5&limit=7&wait=2.5&source=forum&source=chat&label=spam&outcome=reject&decided_by=model'
  assert.equal(first?.target, `/v1/decisions/feed?${all}`)
  assert.equal(second?.target, '/v1/decisions/feed?limit=500&wait=0')
})

test('a feed that breaks is read on, one that stays away is thrown, and nonsense too', async () => {
  const answers: Answered[] = [problem(503), { body: '', cut: true }]
  let script: Script = (asked) => answers.shift() ?? feed(asked)
  await scripted((asked) => script(asked), async ({ client }) => {
    const pages = client.feed({ limit: 5, wait: 0 })
    assert.equal((await pages.next()).value.next, '5')
    script = inTurn({ body: '', cut: true })
    await assert.rejects(pages.next(), Unreachable)
    script = inTurn({ body: '{"decisions":{}}' })
    await assert.rejects(client.feedPage(), UnexpectedAnswer)
  })
})

function event(cursor: number): string {
  const data = JSON.stringify({ ...DECISION, sequence: cursor, reason: 'größer\u2028𝄞\u0085' })
  return `id: ${cursor}\r\nevent: decision\ndata: ${data}\r\r`
}

/** A stream of 10 decisions that breaks off in the middle of every third. */
const stream: Script = (asked) => {
  const first = Number(query(asked).get('after') ?? 0)
  const whole = range(first + 1, Math.min(first + 4, 11)).map(event).join('')
  const events = first < 8 ? whole.slice(0, -20) : whole
  const body = `: following\n\nevent: of_a_later_version\ndata: {}\n\n${events}\n`
  return { body: first < 8 ? body.slice(0, -1) : body, headers: { 'content-type': 'text/event-stream' }, cut: first < 8 }
}

test('the stream is taken up behind the last whole decision', async () => {
  const asked = await scripted(stream, async ({ client }) => {
    const found: number[] = []
    for await (const { cursor, decision } of client.stream({ source: 'forum' })) {
      assert.equal(cursor, `${decision.sequence}`)
      assert.equal(decision.reason, 'größer\u2028𝄞\u0085')
      found.push(decision.sequence)
      if (found.length === 10) break
    }
    assert.deepEqual(found, range(1, 11))
  })
  assert.ok(asked.every(({ headers, target }) => headers.accept === 'text/event-stream' && target.includes('source=forum')))
})

test('a stream that may not be read is thrown at once, nonsense too, and what is away after all tries', async () => {
  for (const [answer, kind, tries] of [
    [problem(403), Forbidden, 1],
    [{ body: 'event: decision\ndata: {\n\n' }, UnexpectedAnswer, 1],
    [{ body: '', cut: true }, Unreachable, 4],
  ] as const) {
    const asked = await scripted(inTurn(answer), async ({ client }) => {
      await assert.rejects(client.stream().next(), kind)
    })
    assert.equal(asked.length, tries)
  }
})

test('a caller may leave a stream that says nothing', async () => {
  const reason = new Error('left')
  const leaving = new AbortController()
  await scripted(
    () => (setTimeout(() => leaving.abort(reason), 20), { body: ': following\n\n', cut: true }),
    async ({ client }) => {
      await assert.rejects(client.stream({ signal: leaving.signal }).next(), reason)
    },
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as errors from '@second-look/client'
import { Client, type ContentSubmitted } from '@second-look/client'

import { type Answered, FAST, inTurn, KEY, problem, scripted } from './scripted.js'

const CONTENT: ContentSubmitted = {
  source: 'forum', content_id: 'p1', revision: 1, text: 'hello', created_at: '2026-01-01T00:00:00Z',
} // prettier-ignore
const ACCEPTED: Answered = { status: 202, body: '{"source":"forum","content_id":"p1","revision":1}' }

test('content is sent as it is, with the key', async () => {
  const [asked] = await scripted(inTurn(ACCEPTED), async ({ client }) => {
    assert.equal((await client.submit(CONTENT)).content_id, 'p1')
  })
  assert.deepEqual([asked?.method, asked?.target, asked?.headers.authorization], ['POST', '/v1/content', `Bearer ${KEY}`])
  assert.deepEqual(JSON.parse(asked?.body ?? ''), CONTENT)
})

const IDS = ['p1', 'a/b', '50%', '%2F', 'ü𝄞', '?x=1#y', 'a..b', 'a/../b', '...', '+ &=;:@', '{}[]|\\^`"\'<>', '\u2028']

for (const id of IDS) {
  test(`every id arrives as it is: ${id}`, async () => {
    const asked = await scripted(inTurn({ body: '{}' }), async ({ client }) => {
      await client.content('forum', id)
      await client.withdraw('forum', id, { reason: 'a&b' })
      await client.report('forum', id, { reportId: 'r1', reporter: 'u1', reason: 'spam' })
    })
    const targets = [`/v1/content/forum/${id}`, `/v1/content/forum/${id}`, `/v1/content/forum/${id}/reports`]
    assert.deepEqual(asked.map(({ target }) => decodeURIComponent(target.split('?')[0] ?? '')), targets)
    assert.deepEqual(asked.map(({ target }) => target.split('/').length), [5, 5, 6])
    assert.equal(asked[1]?.target.split('?')[1], 'reason=a%26b')
    const report = { report_id: 'r1', reporter: 'u1', reason: 'spam', note: null }
    assert.deepEqual(JSON.parse(asked[2]?.body ?? ''), report)
  })
}

test('an id that no address can hold is named', async () => {
  const client = new Client({ key: KEY })
  for (const id of ['', '.', '..']) assert.throws(() => client.content('forum', id), /cannot stand in an address/)
})

test('what passes is sent again', async () => {
  const troubles = [429, 502, 503, 504].map((status) => problem(status))
  for (const trouble of [...troubles, { status: 503, body: '' }, { body: '', cut: true }, { body: '{"so', cut: true }]) {
    const asked = await scripted(inTurn(trouble, trouble, ACCEPTED), async ({ client }) => {
      await client.submit(CONTENT)
    })
    assert.equal(asked.length, 3)
    assert.equal(new Set(asked.map(({ body }) => body)).size, 1)
  }
})

test('what does not pass is thrown after all tries', async () => {
  for (const [status, kind] of [[429, errors.TooManyRequests], [502, errors.Unavailable], [503, errors.Unavailable], [504, errors.Unavailable]] as const) {
    for (const answer of [problem(status, { code: 'busy' }), { status, body: '<html>' }]) {
      const asked = await scripted(inTurn(answer), async ({ client }) => {
        await assert.rejects(client.submit(CONTENT), kind)
      })
      assert.equal(asked.length, FAST.tries)
    }
  }
})

test('a problem is thrown at once with its code and fields', async () => {
  const kinds = {
    401: errors.Unauthenticated, 403: errors.Forbidden, 404: errors.NotFound, 409: errors.Conflict,
    413: errors.TooLarge, 422: errors.Invalid, 400: errors.ProblemError, 500: errors.ProblemError,
  } // prettier-ignore
  for (const [status, kind] of Object.entries(kinds)) {
    const told = problem(Number(status), { code: 'why', errors: [{ field: 'text', problem: 'is empty' }], later: 1 })
    const asked = await scripted(inTurn(told), async ({ client }) => {
      await assert.rejects(client.submit(CONTENT), (error: errors.ProblemError) => {
        assert.equal(error.constructor, kind)
        assert.deepEqual([error.name, error.status, error.code], [kind.name, Number(status), 'why'])
        assert.deepEqual([error.message, error.errors[0]?.field], ['what happened', 'text'])
        return true
      })
    })
    assert.equal(asked.length, 1)
  }
})

test('a problem without a code is known by its type', async () => {
  await scripted(inTurn(problem(404, { type: '/problems/not-found' })), async ({ client }) => {
    await assert.rejects(client.content('forum', 'p1'), { code: 'not_found' })
  })
})

test('an answer that is not of Second Look is named, and nothing is sent elsewhere', async () => {
  const answers: Answered[] = [
    { body: '<html>' }, { body: '[]' }, { body: 'null' }, { body: '' }, { status: 404, body: 'not here' },
    { status: 500, body: 'oops' }, { status: 302, body: '', headers: { location: 'http://127.0.0.1:9/' } },
    { status: 404, body: '{}', headers: { 'content-type': 'application/problem+json' } },
  ] // prettier-ignore
  for (const answer of answers) {
    const asked = await scripted(inTurn(answer), async ({ client }) => {
      await assert.rejects(client.submit(CONTENT), (error: Error) => {
        assert.ok(error instanceof errors.UnexpectedAnswer, `${error}`)
        assert.ok(!error.message.includes(KEY))
        return true
      })
    })
    assert.equal(asked.length, 1)
  }
})

test('nobody there is thrown with the address and without the key', async () => {
  let gone = ''
  await scripted(inTurn(ACCEPTED), async ({ url }) => void (gone = url))
  const client = new Client({ key: KEY, routerUrl: gone, retries: FAST })
  await assert.rejects(client.submit(CONTENT), (error: Error) => {
    assert.ok(error instanceof errors.Unreachable)
    assert.ok(error.message.includes(gone) && !error.message.includes(KEY), error.message)
    return true
  })
})

test('a server that never answers is Unreachable after the timeout', async () => {
  const never = (async (_: unknown, init?: RequestInit) =>
    new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)))) as typeof fetch
  const client = new Client({ key: KEY, retries: { tries: 2, first: 0.001 }, timeout: 0.02, fetch: never })
  const alive = setTimeout(() => {}, 5000) // the timer of a timeout keeps no process alive
  await assert.rejects(client.submit(CONTENT), errors.Unreachable)
  clearTimeout(alive)
})

test('the server says when to come back', async () => {
  const began = Date.now()
  const options = { retries: { tries: 2, first: 0.001, longest: 2 } }
  await scripted(
    inTurn(problem(429, {}, { 'retry-after': '1' }), ACCEPTED),
    async ({ client }) => void (await client.submit(CONTENT)),
    options,
  )
  assert.ok(Date.now() - began >= 990)
})

test('a wait longer than allowed is left to the caller', async () => {
  const asked = await scripted(inTurn(problem(429, {}, { 'retry-after': '3600' })), async ({ client }) => {
    await assert.rejects(client.submit(CONTENT), { retryAfter: 3600, name: 'TooManyRequests' })
  })
  assert.equal(asked.length, 1)
})

test('a caller may leave while it waits, and gets its own reason', async () => {
  const reason = new Error('left')
  const leaving = new AbortController()
  const answer = problem(503, {}, { 'retry-after': '20' })
  await scripted(
    () => (setTimeout(() => leaving.abort(reason), 20), answer),
    async ({ client }) => {
      await assert.rejects(client.submit(CONTENT, { signal: leaving.signal }), reason)
      await assert.rejects(client.submit(CONTENT, { signal: AbortSignal.abort(reason) }), reason)
    },
    { retries: { longest: 30 } },
  )
})

test('a key or an address that cannot be one is named', () => {
  for (const key of ['', '  ', 'sl_\nkey', 'sl_ü']) {
    assert.throws(() => new Client({ key }), (error: Error) => !key.trim() || !error.message.includes(key))
  }
  for (const apiUrl of ['127.0.0.1:8000', 'ftp://x', 'http://', '']) {
    assert.throws(() => new Client({ key: KEY, apiUrl }), /must begin with http/)
  }
})

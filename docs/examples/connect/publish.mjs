// Publishes one piece of content: node publish.mjs post-1 "Hello, everybody"
const router = process.env.SECONDLOOK_ROUTER_URL ?? "http://127.0.0.1:8001";
const [content_id, text] = process.argv.slice(2);

const answer = await fetch(`${router}/v1/content`, {
  method: "POST",
  headers: { authorization: `Bearer ${process.env.SECONDLOOK_API_KEY}`, "content-type": "application/json" },
  body: JSON.stringify({ source: "forum", content_id, revision: 1, text, created_at: new Date().toISOString() }),
});
console.log(answer.status, JSON.stringify(await answer.json()));
process.exitCode = answer.ok ? 0 : 1;

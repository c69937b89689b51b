// Receives decisions by webhook, checks who sent them, and prints them: WEBHOOK_SECRET=whsec_… node receive.mjs 9000
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const secrets = process.env.WEBHOOK_SECRET.split(" ").map((one) => Buffer.from(one.replace("whsec_", ""), "base64"));
const highest = new Map(); // by content, the sequence of the decision that counts

function genuine(headers, body) {
  const age = Math.abs(Date.now() / 1000 - Number(headers["webhook-timestamp"]));
  if (!(age < 300)) return false; // an old message that somebody sends again
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const given = (headers["webhook-signature"] ?? "").split(" ").map((one) => Buffer.from(one));
  return secrets.some((secret) => {
    const right = Buffer.from(`v1,${createHmac("sha256", secret).update(signed).digest("base64")}`);
    return given.some((one) => one.length === right.length && timingSafeEqual(one, right));
  });
}

createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts).toString();
  if (!genuine(request.headers, body)) return response.writeHead(401).end();
  const message = JSON.parse(body);
  if (message.type === "decision.published") {
    const { source, content_id, sequence, outcome, labels, action } = message.data;
    if (sequence > (highest.get(`${source}/${content_id}`) ?? -1)) {
      highest.set(`${source}/${content_id}`, sequence); // yours: do here what `action` says, and remember it
      console.log(`${source}/${content_id}: ${outcome} ${labels.join(", ")} → ${action}`);
    }
  }
  response.writeHead(204).end();
}).listen(Number(process.argv[2]), "127.0.0.1", () => console.log("listening"));

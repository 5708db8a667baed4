// Publish a talking face from Node as one live request, one line of NDJSON per frame.
//
//     node scripts/examples/publish_node.mjs http://127.0.0.1:8000 me 20
//
// Needs Node 18 or newer and no package. Each line reaches the viewers when it is sent; the server answers when
// the body ends. A server that asks for a token gets the one in TELEWARP_TOKEN (scope `publish`).

import { setTimeout as sleep } from "node:timers/promises";

const FPS = 30;
const [url = "http://127.0.0.1:8000", stream = "me", seconds = "20"] = process.argv.slice(2);
const token = process.env.TELEWARP_TOKEN;
const authorization = token ? { Authorization: `Bearer ${token}` } : {};

async function* frames(count) {
  const started = performance.now();
  for (let seq = 0; seq < count; seq++) {
    await sleep(Math.max(0, started + (seq * 1000) / FPS - performance.now()));
    const half_angle_rad = 0.15 * Math.sin(seq / 20);
    const frame = {
      seq,
      captured_at_ms: Date.now(),
      // A unit quaternion [x, y, z, w]: a rotation about the vertical axis.
      head: { rotation: [0, Math.sin(half_angle_rad), 0, Math.cos(half_angle_rad)] },
      expression: { jawOpen: 0.3 + 0.3 * Math.sin(seq / 3), mouthSmileLeft: 0.2 },
    };
    yield new TextEncoder().encode(JSON.stringify(frame) + "\n");
  }
}

async function call(method, path, type, body) {
  const headers = { ...authorization, ...(type && { "Content-Type": type }) };
  // `duplex` is required by fetch for a body that is a stream.
  const answer = await fetch(new URL(path, url), { method, headers, body, duplex: "half" });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
}

await call("POST", "/v1/streams", "application/json", JSON.stringify({ id: stream, avatar: "default" }));
console.log(`watch it at ${url}/?stream=${stream}`);
try {
  const body = ReadableStream.from(frames(Math.round(Number(seconds) * FPS)));
  console.log(await call("POST", `/v1/streams/${stream}/frames`, "application/x-ndjson", body));
} finally {
  await call("DELETE", `/v1/streams/${stream}`);
}

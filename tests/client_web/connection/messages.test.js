import assert from "node:assert/strict";
import { test } from "node:test";

import { meshMessage, parseEvent, pingMessage, viewMessage } from "../../../client_web/js/connection/messages.js";

test("a view carries what the contract says and nothing else", () => {
  const eye = { rotation: [0, 0, 0, 1], position: [0, 0, 0.7] };
  assert.deepEqual(JSON.parse(viewMessage(5, 99.1, eye)), {
    type: "view",
    seq: 5,
    sent_at_ms: 99.1,
    eye,
  });
});

test("a mesh frame names only what is not at rest", () => {
  const text = meshMessage(17, 12.5, {
    jawOpen: 0.30001,
    mouthClose: 0,
    exp003: -2.5,
  });
  assert.deepEqual(JSON.parse(text), {
    type: "mesh",
    seq: 17,
    captured_at_ms: 12.5,
    expression: { jawOpen: 0.3, exp003: -2.5 },
  });
});

test("a mesh frame may turn the head", () => {
  const head = { rotation: [0, 0, 0, 1], translation: [0, 0, 0] };
  assert.deepEqual(JSON.parse(meshMessage(1, 0, {}, head)).head, head);
});

test("events that this page does not know are passed over", () => {
  assert.equal(parseEvent("{"), null);
  assert.equal(parseEvent("null"), null);
  assert.equal(parseEvent('{"type":"weather"}'), null);
  assert.equal(parseEvent('{"type":"frame"}'), null);
  assert.equal(parseEvent('{"type":"frame","rtp_timestamp":7}').rtp_timestamp, 7);
  assert.equal(parseEvent('{"type":"pong"}'), null);
  assert.equal(parseEvent('{"type":"pong","sent_at_ms":7,"received_at_ms":9}').sent_at_ms, 7);
  assert.equal(parseEvent('{"type":"error","detail":"no"}').detail, "no");
});

test("a ping carries this page's clock", () => {
  assert.deepEqual(JSON.parse(pingMessage(7.5)), { type: "ping", sent_at_ms: 7.5 });
});

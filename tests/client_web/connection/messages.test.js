import assert from "node:assert/strict";
import { test } from "node:test";

import {
  meshMessage,
  parseEvent,
  pingMessage,
  viewMessage,
} from "../../../client_web/js/connection/messages.js";

test("a view message has exactly the fields of the protocol", () => {
  const eye = { rotation: [0, 0, 0, 1], position: [0, 0, 0.7] };
  assert.deepEqual(JSON.parse(viewMessage(5, 99.1, eye)), {
    type: "view",
    seq: 5,
    sent_at_ms: 99.1,
    eye,
  });
});

test("a mesh message leaves out coefficients at rest", () => {
  const text = meshMessage({
    seq: 17,
    captured_at_ms: 12.5,
    expression: { jawOpen: 0.30001, mouthClose: 0, exp003: -2.5 },
  });
  assert.deepEqual(JSON.parse(text), {
    type: "mesh",
    seq: 17,
    captured_at_ms: 12.5,
    expression: { jawOpen: 0.3, exp003: -2.5 },
  });
});

test("a mesh message may have the pose of the head", () => {
  const head = { rotation: [0, 0, 0, 1], translation: [0, 0, 0] };
  assert.deepEqual(
    JSON.parse(meshMessage({ seq: 1, captured_at_ms: 0, expression: {}, head })).head,
    head,
  );
});

test("unknown events are ignored", () => {
  assert.equal(parseEvent("{"), null);
  assert.equal(parseEvent("null"), null);
  assert.equal(parseEvent('{"type":"weather"}'), null);
  assert.equal(parseEvent('{"type":"frame"}'), null);
  assert.equal(parseEvent('{"type":"frame","rtp_timestamp":7}').rtp_timestamp, 7);
  assert.equal(parseEvent('{"type":"pong"}'), null);
  assert.equal(parseEvent('{"type":"pong","sent_at_ms":7,"received_at_ms":9}').sent_at_ms, 7);
  assert.equal(parseEvent('{"type":"error","detail":"no"}').detail, "no");
  assert.equal(parseEvent('{"type":"expired","detail":"old"}').type, "expired");
  assert.equal(parseEvent('{"type":"expired"}'), null);
  assert.equal(parseEvent('{"type":"ended","detail":"deleted"}').detail, "deleted");
  assert.equal(parseEvent('{"type":"voice","rtp_timestamp":7}'), null);
  assert.equal(parseEvent('{"type":"network","estimate_kbps":1900,"loss":null}'), null);
  const network = {
    type: "network",
    estimate_kbps: 1900,
    loss: 0.01,
    queue_ms: 3,
    round_trip_ms: 20,
  };
  assert.deepEqual(parseEvent(JSON.stringify(network)), network);
  const voice = parseEvent('{"type":"voice","rtp_timestamp":7,"captured_at_ms":9.5}');
  assert.equal(voice.captured_at_ms, 9.5);
});

test("a ping has the time of the page's clock", () => {
  assert.deepEqual(JSON.parse(pingMessage(7.5)), { type: "ping", sent_at_ms: 7.5 });
});

import assert from "node:assert/strict";
import { test } from "node:test";

import { iceServers } from "../../../client_web/js/connection/ice.js";

test("servers are read from Link headers, with their credentials", () => {
  const links = [
    '<stun:stun.example.org>; rel="ice-server"',
    '</docs>; rel="help"',
    '<turn:turn.example.org:3478?transport=udp>; rel="ice-server"; username="1700000000:viewer,1"; credential="a\\"b\\\\c="; credential-type="password"',
  ].join(", ");
  assert.deepEqual(iceServers(links), [
    { urls: "stun:stun.example.org" },
    {
      urls: "turn:turn.example.org:3478?transport=udp",
      username: "1700000000:viewer,1",
      credential: 'a"b\\c=',
    },
  ]);
});

test("without Link headers there are none", () => {
  assert.deepEqual(iceServers(null), []);
  assert.deepEqual(iceServers(""), []);
  assert.deepEqual(iceServers("nonsense"), []);
});

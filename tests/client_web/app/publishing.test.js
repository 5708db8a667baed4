// Publishing: the stream, the connection to it, and the mesh frames that are sent.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { FacePublisher } from "../../../client_web/js/app/face_publisher.js";
import { PublisherConnection } from "../../../client_web/js/app/publisher_connection.js";
import { claimStream } from "../../../client_web/js/app/stream_claim.js";
import { packedMesh } from "../../../client_web/js/connection/packed_mesh.js";
import { Trouble } from "../../../client_web/js/connection/trouble.js";
import { viewerLink } from "../../../client_web/js/panels/share_link.js";
import { Telemetry } from "../../../client_web/js/timing/telemetry.js";
import { settled } from "../fakes.js";

const REST = { rotation: [0, 0, 0, 1], translation: [0, 0, 0] };
const ORIGIN_MS = 1764408000000; // of the page, in milliseconds since 1970
const FRAME = {
  face: {},
  capturedAt_ms: 100,
  arrivedAt_ms: 104,
  trackedAt_ms: 130,
  tracking_ms: 25,
};

/** A publisher of mesh frames with an open channel and a clock. */
function publishing(pose = { expression: { jawOpen: 0.12345 }, head: REST }) {
  const sent = [];
  const clock = { now_ms: 131 };
  const driver = { next: () => pose };
  const names = ["browInnerUp", "jawOpen"];
  const faces = new FacePublisher(driver, names, 500, () => clock.now_ms, ORIGIN_MS);
  const channel = { open: true };
  faces.publisher = {
    send: (message) => {
      if (channel.open) sent.push(Buffer.from(message));
      return channel.open;
    },
    close: () => {
      channel.open = false;
    },
  };
  return { faces, sent, clock, channel };
}

test("a mesh frame has coefficients in the avatar's order and the time of the camera frame", () => {
  const { faces, sent } = publishing();
  faces.publish(FRAME);
  const expression = [0, 0.12345];
  const frame = { seq: 501, captured_at_ms: ORIGIN_MS + 100, head: REST, expression };
  assert.deepEqual(sent, [Buffer.from(packedMesh(frame))]);
});

test("a mesh frame that cannot be sent is dropped, and the next one uses its number", () => {
  const { faces, sent, channel } = publishing();
  channel.open = false;
  faces.publish(FRAME);
  channel.open = true;
  faces.publish(FRAME);
  assert.equal(sent[0].readBigUInt64LE(1), 501n);
  assert.equal(faces.measured(131).dropped, 1);
});

test("the voice counts as sent", () => {
  const { faces, clock } = publishing();
  faces.voiceSent(1000, 131);
  clock.now_ms = 1131;
  faces.voiceSent(5000, 1131);
  const { sent_kbps, voice_kbps } = faces.measured(1131);
  assert.deepEqual([sent_kbps, voice_kbps], [32, 32]);
});

test("nothing is sent without a face", () => {
  const { faces, sent } = publishing(null);
  faces.publish({ ...FRAME, face: null });
  assert.deepEqual(sent, []);
  assert.equal(faces.measured(131).face_found, false);
});

test("camera to photon is measured from the camera frame, and its stages add up", () => {
  const { faces, clock } = publishing();
  const telemetry = new Telemetry();
  faces.journal = telemetry.journal;
  telemetry.eventReceived({ type: "frame", rtp_timestamp: 8 }, 90);
  telemetry.displayed({ presentedFrames: 0, expectedDisplayTime: 90, rtpTimestamp: 8 }, 90);
  faces.publish(FRAME); // sent at 131
  clock.now_ms = 160;
  const event = {
    type: "frame",
    rtp_timestamp: 9,
    mesh_seq: 501,
    clock_ms: { sent: 150, encoded: 149 },
  };
  telemetry.eventReceived(event, 152);
  telemetry.displayed({ presentedFrames: 1, expectedDisplayTime: 160, rtpTimestamp: 9 }, 158);
  assert.equal(telemetry.measured(160).pose_to_photon_ms.p50, 60);
  const { camera, track, filter, hold } = telemetry.frameStages(160);
  assert.deepEqual(
    [camera, track, filter, hold].map(({ p50 }) => p50),
    [4, 26, 1, 0],
  );
});

test("a new stream is created, and a conflict is described", async () => {
  const streams = (created, found) => ({ create: async () => created, find: async () => found });
  assert.equal(await claimStream(streams(true), "me", "default"), null);
  const live = { avatar: "default", live: true };
  assert.deepEqual(await claimStream(streams(false, live), "me", "default"), {
    stream: "me",
    kind: "live",
    avatar: "default",
  });
  const other = { avatar: "marcus", live: false };
  assert.deepEqual(await claimStream(streams(false, other), "me", "default"), {
    stream: "me",
    kind: "other-avatar",
    avatar: "marcus",
  });
  const idle = { avatar: "default", live: false };
  assert.equal(await claimStream(streams(false, idle), "me", "default"), null);
});

test("a lost connection is reported, and opened again with its stream", async () => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  try {
    const { faces } = publishing();
    const troubles = [];
    const created = [];
    const ends = [];
    const connection = new PublisherConnection("me", "default", {
      streams: {
        create: async (id) => created.push(id) > 0,
        find: async () => ({ live: true, last_seq: 500 }),
      },
      faces,
      open: async (onEnd) => {
        ends.push(onEnd);
        return { send: () => true, close: () => {} };
      },
      onTrouble: (trouble) => troubles.push(trouble?.kind ?? null),
      onTakenOver: assert.fail,
    });
    await connection.open();
    ends[0](new Trouble("unreachable"));
    assert.equal(faces.publisher, null);
    mock.timers.tick(700);
    for (let i = 0; i < 4; i++) await settled();
    assert.deepEqual(troubles, ["unreachable", null]);
    assert.deepEqual(created, ["me"]);
    assert.ok(faces.publisher);
    connection.close();
    assert.equal(faces.publisher, null);
  } finally {
    mock.timers.reset();
  }
});

test("a publisher with higher numbers has taken over", async () => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  try {
    const { faces, channel } = publishing();
    const publisher = faces.publisher;
    let taken = 0;
    let last_seq = 500;
    const connection = new PublisherConnection("me", "default", {
      streams: { find: async () => ({ live: true, last_seq }) },
      faces,
      open: async () => publisher,
      onTrouble: assert.fail,
      onTakenOver: () => taken++,
    });
    await connection.open();
    mock.timers.tick(3000);
    await settled();
    assert.equal(taken, 0);
    last_seq = 99_000;
    mock.timers.tick(3000);
    await settled();
    assert.equal(taken, 1);
    assert.equal(channel.open, false);
    mock.timers.tick(9000);
    await settled();
    assert.equal(taken, 1);
  } finally {
    mock.timers.reset();
  }
});

test("the link for viewers names the stream, and contains only a viewer's token", () => {
  const page = "https://a.example/telewarp/?publish=me#token=secret";
  assert.equal(viewerLink(page, "me"), "https://a.example/telewarp/?stream=me");
  assert.equal(viewerLink(page, "a b", "x.y"), "https://a.example/telewarp/?stream=a+b#token=x.y");
});

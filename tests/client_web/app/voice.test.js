// One's own voice on a page that publishes, and the stream's on a page that watches.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { OwnVoice } from "../../../client_web/js/app/own_voice.js";
import { PublisherConnection } from "../../../client_web/js/app/publisher_connection.js";
import { openPublisher } from "../../../client_web/js/app/publisher_path.js";
import { VoicePlayer } from "../../../client_web/js/app/voice_player.js";
import { Trouble } from "../../../client_web/js/connection/trouble.js";
import { NO_MICROPHONE, OwnVoicePanel } from "../../../client_web/js/panels/own_voice_panel.js";
import { offsetText, VoiceControls } from "../../../client_web/js/panels/voice_controls.js";
import { FakeDocument, FakeElement, settled } from "../fakes.js";

const denied = () => new DOMException("denied", "NotAllowedError");

/** A microphone that can be opened, and what the panel was told. */
function ownVoice({ open } = {}) {
  const tracks = [];
  const asked = [];
  const words = [];
  const panel = { tell: (text) => words.push(text?.title ?? null), show: () => {} };
  const microphone = (deviceId) => {
    asked.push(deviceId);
    const track = { enabled: true, stopped: false, getSettings: () => ({ deviceId }) };
    track.stop = () => {
      track.stopped = true;
    };
    return { getAudioTracks: () => [track], getTracks: () => [track] };
  };
  const devices = {
    open: async (deviceId) => (open ? open(deviceId, microphone) : microphone(deviceId)),
    list: async () => [],
    meter: () => ({ value: 0.5, close: () => {} }),
  };
  const voice = new OwnVoice(panel, devices, (track) => tracks.push(track));
  return { voice, panel, tracks, asked, words };
}

test("a microphone is opened, metered, muted and closed", async () => {
  const { voice, panel, tracks } = ownVoice();
  await voice.use("usb");
  const [track] = tracks;
  assert.equal(voice.track, track);
  assert.deepEqual([panel.speaking, panel.muted, voice.level], [true, false, 0.5]);
  voice.toggleMute();
  assert.deepEqual([track.enabled, panel.muted, voice.level], [false, true, 0]);
  voice.close();
  assert.deepEqual([track.stopped, voice.track], [true, null]);
});

test("whoever is muted stays muted with another microphone", async () => {
  const { voice, tracks } = ownVoice();
  await voice.use("");
  voice.toggleMute();
  await voice.use("usb");
  assert.deepEqual([tracks[0].stopped, tracks[1].enabled], [true, false]);
  voice.close();
});

test("without a microphone the face is sent alone, and why is told", async () => {
  const { voice, panel, tracks, words } = ownVoice({ open: () => Promise.reject(denied()) });
  await voice.use("usb");
  assert.deepEqual(tracks, [null]);
  assert.equal(panel.speaking, false);
  assert.deepEqual(words, [null, "The microphone is blocked"]);
  await voice.use(NO_MICROPHONE);
  assert.deepEqual(words.slice(2), [null]);
});

test("a remembered microphone that is not connected is replaced by the default", async () => {
  const { voice, asked } = ownVoice({
    open: (deviceId, microphone) => {
      if (deviceId) throw new DOMException("gone", "OverconstrainedError");
      return microphone(deviceId);
    },
  });
  await voice.use("unplugged");
  assert.deepEqual(asked, [undefined]);
  assert.ok(voice.track);
  voice.close();
});

test("a microphone that is unplugged ends the voice, in words", async () => {
  const { voice, tracks, words } = ownVoice();
  await voice.use("usb");
  tracks[0].onended();
  assert.equal(tracks.at(-1), null);
  assert.equal(words.at(-1), "The microphone cannot be used");
});

test("the panel offers every microphone, the default and none, and keeps the choice", () => {
  const chosen = [];
  const panel = new OwnVoicePanel(new FakeDocument(), { choose: (id) => chosen.push(id) });
  const list = [
    { deviceId: "default", label: "Default - Headset" },
    { deviceId: "a", label: "Headset" },
  ];
  panel.show(list, "a");
  assert.equal(panel.choice, "a");
  panel.show(list, "default"); // Chromium's name for its own choice
  assert.equal(panel.choice, "");
  panel.show(list, "unplugged");
  assert.equal(panel.choice, "");
  panel.show([], NO_MICROPHONE);
  assert.equal(panel.choice, NO_MICROPHONE);
});

/** What `openPublisher` opens and tells. */
function paths(voice) {
  const told = [];
  const events = { onVoice: (trouble) => told.push(trouble?.kind ?? null) };
  const opened = [];
  const all = {
    voice: async () => {
      opened.push("voice");
      if (voice instanceof Error) throw voice;
      return "whip";
    },
    mesh: async () => {
      opened.push("mesh");
      return "socket";
    },
  };
  return { all, events, told, opened };
}

test("a voice goes by WebRTC; without one the frames go by WebSocket", async () => {
  const { all, events, told, opened } = paths();
  assert.equal(await openPublisher(all, true, events), "whip");
  assert.equal(await openPublisher(all, false, events), "socket");
  assert.deepEqual([opened, told], [["voice", "mesh"], [null]]);
});

test("where the voice fails, the frames go by WebSocket, and why is told", async () => {
  for (const trouble of [new Trouble("blocked"), new Trouble("refused", { status: 409 })]) {
    const { all, events, told } = paths(trouble);
    assert.equal(await openPublisher(all, true, events), "socket");
    assert.deepEqual(told, [trouble.kind]);
  }
});

test("what keeps the face away, too, is not tried twice", async () => {
  for (const kind of ["sign-in", "unreachable"]) {
    const { all, events, opened } = paths(new Trouble(kind));
    await assert.rejects(openPublisher(all, true, events), { kind });
    assert.deepEqual(opened, ["voice"]);
  }
});

test("a voice that is added to a connection without one opens another connection", async () => {
  const opened = [];
  const voices = [];
  let track = null;
  const connection = new PublisherConnection("me", "default", {
    streams: { find: async () => null },
    faces: { publisher: null, seq: 0 },
    voice: () => track,
    open: async () => {
      const publisher = {
        closed: false,
        close: () => {
          publisher.closed = true;
        },
        ...(track && { useVoice: async (other) => voices.push(other) }),
      };
      opened.push(publisher);
      return publisher;
    },
    onTrouble: assert.fail,
    onTakenOver: assert.fail,
  });
  await connection.open();
  await connection.useVoice();
  assert.deepEqual([opened.length, connection.canSpeak], [1, false]);
  track = { kind: "audio" };
  await connection.useVoice();
  assert.deepEqual([opened.length, opened[0].closed, connection.canSpeak], [2, true, true]);
  track = null;
  await connection.useVoice(); // the same connection, silent
  assert.deepEqual([opened.length, voices], [2, [null]]);
  connection.close();
});

test("a voice that another page has taken over is not taken back", async () => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  try {
    let end = () => {};
    let taken = 0;
    let opened = 0;
    const connection = new PublisherConnection("me", "default", {
      streams: { find: async () => ({ live: true, last_seq: 99 }) },
      faces: { publisher: null, seq: 5 },
      voice: () => null,
      open: async (onEnd) => {
        end = onEnd;
        opened += 1;
        return { close: () => {} };
      },
      onTrouble: () => {},
      onTakenOver: () => taken++,
    });
    await connection.open();
    end(new Trouble("lost"));
    mock.timers.tick(2000);
    for (let i = 0; i < 4; i++) await settled();
    assert.deepEqual([taken, opened], [1, 1]);
  } finally {
    mock.timers.reset();
  }
});

/** A player with a storage and a browser that may block sound. */
function player({ stored = null, blocks = false } = {}) {
  const states = [];
  const kept = new Map(stored ? [["telewarp.voice", stored]] : []);
  const audio = { muted: false, srcObject: null, blocks };
  audio.play = async () => {
    if (audio.blocks && !audio.muted) throw denied();
  };
  const storage = { getItem: (k) => kept.get(k) ?? null, setItem: (k, v) => kept.set(k, v) };
  const voice = new VoicePlayer(audio, storage, (state) => states.push(state));
  return { voice, audio, kept, states };
}

test("a voice plays by itself where the browser lets it", async () => {
  const { voice, audio } = player();
  voice.play("the stream");
  await settled();
  assert.equal(voice.state, "silent");
  voice.present = true;
  assert.deepEqual([audio.srcObject, voice.state], ["the stream", "playing"]);
  voice.present = false;
  assert.equal(voice.state, "silent");
});

test("where the browser blocks sound, the user's press lets it be heard", async () => {
  const { voice, audio, states } = player({ blocks: true });
  voice.present = true;
  voice.play("the stream");
  await settled();
  assert.equal(states.at(-1), "blocked");
  audio.blocks = false; // by the press
  voice.toggle();
  await settled();
  assert.equal(states.at(-1), "playing");
});

test("mute is remembered", async () => {
  const { voice, audio, kept } = player();
  voice.present = true;
  voice.play("the stream");
  await settled();
  voice.toggle();
  assert.deepEqual([audio.muted, kept.get("telewarp.voice")], [true, "muted"]);
  const again = player({ stored: "muted" });
  again.voice.present = true;
  assert.deepEqual([again.audio.muted, again.voice.state], [true, "muted"]);
  again.voice.toggle();
  await settled();
  assert.deepEqual([again.audio.muted, again.voice.state], [false, "playing"]);
});

test("a stream without a voice has no buttons, and a blocked one has a clear one", () => {
  const page = new FakeElement();
  let toggled = 0;
  const controls = new VoiceControls(page, new AbortController().signal, () => toggled++);
  const [button, pill] = ["#voice-button", "#unmute"].map((id) => page.querySelector(id));
  const shown = (state) => {
    controls.state = state;
    return [!button.hidden, !pill.hidden, button.getAttribute("aria-pressed")];
  };
  assert.deepEqual(shown("silent").slice(0, 2), [false, false]);
  assert.deepEqual(shown("blocked"), [true, true, "true"]);
  assert.deepEqual(shown("playing"), [true, false, "false"]);
  assert.deepEqual(shown("muted"), [true, false, "true"]);
  pill.querySelector("button").click();
  button.click();
  assert.equal(toggled, 2);
});

test("the offset is told in words, and not before it was measured", () => {
  assert.equal(offsetText({ p50: null, p95: null, count: 0 }), "");
  assert.equal(
    offsetText({ p50: 11.6, p95: 30.4, count: 9 }),
    "Voice 12 ms after the lips (95 % within ± 30 ms)",
  );
  assert.match(offsetText({ p50: -8, p95: 9, count: 9 }), /^Voice 8 ms before the lips/);
});

// The voice that a page publishes, and the voice of a stream that a page plays.

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

/** A microphone that can be opened, and the messages of the panel. */
function ownVoice({ open } = {}) {
  const tracks = [];
  const requested = [];
  const words = [];
  const panel = { showMessage: (text) => words.push(text?.title ?? null), show: () => {} };
  const microphone = (deviceId) => {
    requested.push(deviceId);
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
  return { voice, panel, tracks, requested, words };
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

test("mute is kept when the microphone changes", async () => {
  const { voice, tracks } = ownVoice();
  await voice.use("");
  voice.toggleMute();
  await voice.use("usb");
  assert.deepEqual([tracks[0].stopped, tracks[1].enabled], [true, false]);
  voice.close();
});

test("without a microphone only the face is sent, and the reason is shown", async () => {
  const { voice, panel, tracks, words } = ownVoice({ open: () => Promise.reject(denied()) });
  await voice.use("usb");
  assert.deepEqual(tracks, [null]);
  assert.equal(panel.speaking, false);
  assert.deepEqual(words, [null, "The microphone is blocked"]);
  await voice.use(NO_MICROPHONE);
  assert.deepEqual(words.slice(2), [null]);
});

test("a remembered microphone that is not connected is replaced by the default", async () => {
  const { voice, requested } = ownVoice({
    open: (deviceId, microphone) => {
      if (deviceId) throw new DOMException("gone", "OverconstrainedError");
      return microphone(deviceId);
    },
  });
  await voice.use("unplugged");
  assert.deepEqual(requested, [undefined]);
  assert.ok(voice.track);
  voice.close();
});

test("unplugging the microphone ends the voice and shows a message", async () => {
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
  panel.show(list, "default"); // Chromium's id of the default device
  assert.equal(panel.choice, "");
  panel.show(list, "unplugged");
  assert.equal(panel.choice, "");
  panel.show([], NO_MICROPHONE);
  assert.equal(panel.choice, NO_MICROPHONE);
});

/** What `openPublisher` opens and reports. */
function paths(voice) {
  const reported = [];
  const events = { onVoice: (trouble) => reported.push(trouble?.kind ?? null) };
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
  return { all, events, reported, opened };
}

test("mesh frames with a voice are sent by WebRTC, without one by WebSocket", async () => {
  const { all, events, reported, opened } = paths();
  assert.equal(await openPublisher(all, true, events), "whip");
  assert.equal(await openPublisher(all, false, events), "socket");
  assert.deepEqual([opened, reported], [["voice", "mesh"], [null]]);
});

test("if WebRTC fails, mesh frames are sent by WebSocket, and the reason is shown", async () => {
  for (const trouble of [new Trouble("blocked"), new Trouble("refused", { status: 409 })]) {
    const { all, events, reported } = paths(trouble);
    assert.equal(await openPublisher(all, true, events), "socket");
    assert.deepEqual(reported, [trouble.kind]);
  }
});

test("an error that WebSocket would meet as well is not retried there", async () => {
  for (const kind of ["sign-in", "unreachable"]) {
    const { all, events, opened } = paths(new Trouble(kind));
    await assert.rejects(openPublisher(all, true, events), { kind });
    assert.deepEqual(opened, ["voice"]);
  }
});

test("adding a voice to a connection without one opens another connection", async () => {
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

test("a voice that another page took over is not reclaimed", async () => {
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

test("a voice starts automatically if the browser permits it", async () => {
  const { voice, audio } = player();
  voice.play("the stream");
  await settled();
  assert.equal(voice.state, "silent");
  voice.present = true;
  assert.deepEqual([audio.srcObject, voice.state], ["the stream", "playing"]);
  voice.present = false;
  assert.equal(voice.state, "silent");
});

test("if the browser blocks autoplay, pressing the button starts the voice", async () => {
  const { voice, audio, states } = player({ blocks: true });
  voice.present = true;
  voice.play("the stream");
  await settled();
  assert.equal(states.at(-1), "blocked");
  audio.blocks = false; // by the user gesture
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

test("a stream without a voice has no voice buttons, and a blocked voice has a prominent one", () => {
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
  // A screen reader adds "pressed" to the label, which therefore must not change to "Unmute".
  assert.equal(button.getAttribute("aria-label"), null);
  assert.equal(button.getAttribute("title"), "Unmute the voice (M)");
  pill.querySelector("button").click();
  button.click();
  assert.equal(toggled, 2);
});

test("the offset of the voice is shown once it is measured", () => {
  assert.equal(offsetText({ p50: null, p95: null, count: 0 }), "");
  assert.equal(
    offsetText({ p50: 11.6, p95: 30.4, count: 9 }),
    "Voice 12 ms after the lips (95 % within ± 30 ms)",
  );
  assert.match(offsetText({ p50: -8, p95: 9, count: 9 }), /^Voice 8 ms before the lips/);
});

// Entry point: creates the parts of the viewer and connects them.

import { AvatarSetup } from "./app/avatar_setup.js";
import { timers } from "./app/browser.js";
import { createConnection } from "./app/connect.js";
import { frameElements } from "./app/elements.js";
import { saveFrames } from "./app/frame_export.js";
import { FrameView } from "./app/frame_view.js";
import { openHeadView } from "./app/head_view_setup.js";
import { openHeadset } from "./app/headset_setup.js";
import { followPage } from "./app/lifecycle.js";
import { pageApi } from "./app/page_api.js";
import { PageState } from "./app/page_state.js";
import { openStream } from "./app/page_stream.js";
import { ServerEvents } from "./app/server_events.js";
import { stateView } from "./app/state_view.js";
import { Statistics } from "./app/statistics.js";
import { Toolbar } from "./app/toolbar.js";
import { ViewerInput } from "./app/viewer_input.js";
import { ViewerVoice } from "./app/viewer_voice.js";
import { find } from "./panels/dom.js";
import { Telemetry } from "./timing/telemetry.js";

const life = new AbortController();
const { base, stream, endpoint, publishing, readToken, ...wanted } = await openStream(document);
const elements = frameElements(document);
const session = () => manager.session;
const send = (/** @type {string} */ text) => manager.session?.send(text) ?? false;

const telemetry = new Telemetry();
const input = new ViewerInput(document, { telemetry, send, onViewStep: () => late.draw() }, timers);
const { orbit, face, controls, viewSender } = input;
const watched = { elements, telemetry, input, session, send, background: wanted.background };
const frames = new FrameView(document, watched, timers, life.signal, {
  onFrame: () => headView.frameDisplayed(),
  onFirstFrame: () => manager.frameDisplayed(),
  onLateLost: () => toolbar.lateReprojectionLost(),
});
const { display, late, refined } = frames;
const headView = openHeadView(document, { publishing, telemetry, input, elements }, timers);
const headset = openHeadset(document, { endpoint, display, telemetry, input, headView }, timers);
const avatar = new AvatarSetup(stream, base, life.signal, {
  ...{ orbit, face, controls, late, headWindow: headView.window },
  streamName: find(document, "#stream-name"),
  onReady: () => viewSender.homeKnown(),
});
const source = { stream, host: location.host };
const view = stateView(document, source, () => manager.retryNow());
const state = new PageState(view, {
  onConnecting: () => avatar.load(),
  onLeavingLive: () => display.keepStill(),
});
const onDraining = () => {
  state.serverDrains();
  manager.serverDrains();
};
// One's own voice, a quarter of a second late, would only disturb.
const voice = publishing ? null : new ViewerVoice(document, life.signal, timers.now);
telemetry.onFace = (captured_ms, shown_ms) => voice?.faceShown(captured_ms, shown_ms);
const events = new ServerEvents(
  telemetry,
  viewSender.clock,
  elements.errorLine,
  onDraining,
  (event) => voice?.clockReceived(event),
);
const manager = createConnection(frames.background.of(endpoint), {
  ...{ display, state, events, voice, jpegCanvas: elements.jpeg },
  sendView: () => {
    viewSender.send();
    frames.size.send();
  },
  display_px: () => frames.size.size_px,
});
const statistics = new Statistics(document, { telemetry, state, display, session }, timers.now);
const toolbar = new Toolbar(document, life.signal, {
  resetView: () => input.resetView(),
  followEyes: () => headView.toggle("camera"),
  followTilt: () => headView.toggle("tilt"),
  release: () => input.release(),
  mute: () => (publishing ?? voice)?.toggleMute(),
  saveFrames: () => saveFrames(document, telemetry.log, stream),
  showStatistics: () => statistics.show(),
  late,
});

input.listen(toolbar.keys, life.signal);
statistics.start();
frames.size.follow(window, life.signal);
followPage(window, { manager, readToken, life });
publishing?.watch(telemetry);
const shown = { stream, telemetry, state, display, late, refined, headset };
const parts = { ...shown, input, session, publishing, voice };
Object.defineProperty(window, "telewarp", { value: pageApi(parts, timers.now) });
manager.run();

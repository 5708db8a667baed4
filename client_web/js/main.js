// Puts the viewer together: the only file that looks for elements of the page.

import { SignIn, access } from "./connection/access.js";
import { fetchAvatar } from "./connection/avatars.js";
import { Backdrop } from "./panels/backdrop.js";
import { ARKIT_NAMES } from "./input/coefficients.js";
import { Controls } from "./panels/controls.js";
import { Face } from "./input/face.js";
import { Gestures } from "./input/gestures.js";
import { Hud } from "./panels/hud.js";
import { Keyboard } from "./input/keyboard.js";
import { LateView } from "./reprojection/late_reprojection.js";
import { WaitingLine } from "./connection/queue.js";
import { parseEvent, pingMessage, viewMessage } from "./connection/messages.js";
import { Notice } from "./panels/notice.js";
import { Orbit } from "./input/orbit.js";
import { FramePacer } from "./timing/frame_pacer.js";
import { PictureSession } from "./connection/jpeg_session.js";
import { Session } from "./connection/webrtc_session.js";
import { ShownPose } from "./timing/shown_pose.js";
import { StagesPanel } from "./panels/stages_panel.js";
import { Telemetry } from "./timing/telemetry.js";
import { ViewClock } from "./timing/view_clock.js";
import { Viewer } from "./connection/connection_manager.js";

const HEARTBEAT_MS = 1000;
const HUD_EVERY_MS = 250;
const PING_EVERY_MS = 500;
const STILL_MESH_MS = 30; // a little under two frames of a 60 Hz screen: every second one
const MOVING_MESH_MS = 14; // every one
const AFTER_ERROR_MS = 5000;
const WORDS_FOR_ENDING =
  "The server is going down in a moment. This page looks for another one, and comes back by itself";
const WORDS_FOR_PICTURES = "Video (WebRTC) cannot get through here: showing single pictures";

const $ = (selector) => document.querySelector(selector);
const base = new URL(".", location.href);
const stream = new URLSearchParams(location.search).get("stream") || "demo";
const endpoint = new URL(`v1/streams/${encodeURIComponent(stream)}/whep`, base);
const video = $("video");
const pictures = $("#pictures");
const stage = $("#stage");
const life = new AbortController();

access.takeFrom(location, history);
const signIn = new SignIn($("#sign-in"), (token) => {
  access.use(token);
  viewer.retryNow();
});
const orbit = new Orbit();
const telemetry = new Telemetry();
// A stream's publisher counts its frames from small numbers; the clock is far above any of them.
const face = new Face(Date.now());
const hud = new Hud($("#hud"));
const shownPose = new ShownPose();
const lateView = new LateView(
  $("#late"),
  video,
  { shown: () => shownPose.pose, head: () => shownPose.head, now: () => orbit.pose() },
  () => ($("#late-switch").checked = false),
);
const stagesPanel = new StagesPanel($("#details"));
const controls = new Controls($("#controls"), face, () => faceMoved());
const notice = new Notice($("#notice"), { stream, host: location.host }, () => viewer.retryNow());
const viewer = new Viewer(
  {
    webrtc: (events) => new Session(events),
    pictures: () =>
      new PictureSession(pictures, { onEvent: hear, onReady: startPictures, onPicture: showPicture }),
    open: (session, signal, ticket) =>
      session.open(session instanceof Session ? endpoint : picturesAddress(), signal, ticket),
    line: new WaitingLine(),
    onState: showState,
    onWay: (way) => (nextWay = way),
  },
  {
    onVideo: showVideo,
    onEvent: hear,
    onReady: sendView,
    watched: () => document.visibilityState === "visible",
  },
);

let state = "connecting";
let trouble = null;
/** @type {import("./connection/delivery.js").Way} */ let nextWay = "webrtc"; // of the picture that is awaited
let homeKnown = false; // until then a view would only make the picture jump
let awaitingPicture = false;
let viewSeq = 0;
/** @type {number | null} */ let meshSeq = null;
let meshSentAt_ms = 0;
/** @type {number | null} */ let movedAt_ms = null; // the eye, since the last view was sent
let steppedAt_ms = 0;
let glidedAt_ms = 0;
let animating = false;
/** @type {ReturnType<typeof setTimeout> | 0} */ let errorTimer = 0;

// --- the session -------------------------------------------------------------------------------

/** Pictures come from the host that video would have come from: WebSockets follow no redirect. */
function picturesAddress() {
  const address = access.beside("pictures", endpoint);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return address;
}

function showState(next) {
  if (state === "live" && next.state !== "live") keepStill();
  state = next.state;
  if (next.state === "waiting") trouble = next.trouble;
  if (next.state === "live" || next.state === "in-line") trouble = null;
  if (next.state !== "live") $("#ending").textContent = "";
  if (next.state === "connecting") loadAvatar();
  document.body.dataset.state = state;
  notice.show(next, trouble);
  signIn.show(trouble?.kind === "sign-in");
}

/** Keeps the last picture, for a video whose session has ended turns black. */
function keepStill() {
  const still = $("#still");
  const picture = onScreen();
  still.width = picture === video ? video.videoWidth : pictures.width;
  still.height = picture === video ? video.videoHeight : pictures.height;
  still.getContext("2d")?.drawImage(picture, 0, 0);
  video.srcObject = null;
}

/** What the picture is on: it stays there until the first one comes another way. */
function onScreen() {
  return document.body.dataset.way === "pictures" ? pictures : video;
}

function startPictures() {
  telemetry.restart();
  lateView.clear();
  awaitingPicture = true;
  sendView();
}

function showPicture(number) {
  // The second callback comes when the frame of the first one has been put on screen.
  requestAnimationFrame(() =>
    requestAnimationFrame((now_ms) => {
      if (viewer.way !== "pictures") return;
      const frame = { presentedFrames: number, expectedDisplayTime: now_ms, rtpTimestamp: number };
      telemetry.displayed(frame, now_ms);
      pictureShown();
    }),
  );
}

function showVideo(mediaStream) {
  telemetry.restart();
  shownPose.forget();
  lateView.clear();
  awaitingPicture = true;
  video.srcObject = mediaStream;
  video.play().catch(() => {}); // muted video may play; where it may not, its first frame stands
}

function frameShown(_now, metadata) {
  video.requestVideoFrameCallback(frameShown);
  if (!video.srcObject) return; // the black that follows a session's end
  telemetry.displayed(metadata, performance.now());
  shownPose.displayed(metadata.rtpTimestamp);
  lateView.frameShown();
  pictureShown();
}

function pictureShown() {
  if (!awaitingPicture) return;
  awaitingPicture = false;
  document.body.dataset.way = nextWay;
  $("#way").textContent = nextWay === "pictures" ? WORDS_FOR_PICTURES : "";
  document.body.classList.add("pictured");
  viewer.pictureShown();
  backdrop.update();
}

function hear(text) {
  const event = parseEvent(text);
  if (event?.type === "frame") {
    telemetry.reported(event, performance.now());
    shownPose.reported(event);
  }
  if (event?.type === "pong") {
    telemetry.ponged(event, performance.now());
    viewClock.fps = event.fps ?? viewClock.fps;
  }
  if (event?.type === "error") sayError(event.detail);
  if (event?.type === "draining") sayEnding();
}

function sayEnding() {
  const line = $("#ending");
  if (!line.textContent) line.textContent = WORDS_FOR_ENDING; // once, though it is told every second
  viewer.serverEnds();
}

function sayError(detail) {
  telemetry.serverError();
  const line = $("#server-error");
  line.textContent = `The server says: ${detail}`;
  clearTimeout(errorTimer);
  errorTimer = setTimeout(() => (line.textContent = ""), AFTER_ERROR_MS);
}

async function loadAvatar() {
  const avatar = await fetchAvatar(stream, base, { signal: life.signal });
  if (avatar?.eye_position) orbit.setHome(avatar.eye_position);
  if (avatar?.fov_y_rad) lateView.fov_y_rad = avatar.fov_y_rad;
  if (avatar?.expression_names) {
    controls.setNames(avatar.expression_names, avatar.expression_range);
    face.fit(avatar.expression_names, avatar.expression_range);
  }
  $("#stream-name").textContent = avatar?.name && stream === "demo" ? avatar.name : stream;
  homeKnown = true;
  sendView();
}

// --- what goes out -----------------------------------------------------------------------------

const viewClock = new ViewClock(sendViewAt, telemetry.transit, {
  now: () => performance.now(),
  requestFrame: requestAnimationFrame.bind(window),
  setTimer: setTimeout.bind(window),
  clearTimer: clearTimeout.bind(window),
});

/** @param {number} planned_ms when it was to leave */
function sendViewAt(planned_ms) {
  if (orbit.moving) glide();
  if (sendView()) telemetry.transit.viewSent(viewSeq, planned_ms);
  if (orbit.moving) viewClock.glides();
}

/** @returns {boolean} whether it went out */
function sendView() {
  if (!homeKnown) return false;
  const now = performance.now();
  const pose = orbit.pose();
  if (!viewer.session?.send(viewMessage(viewSeq + 1, now, pose))) return false;
  viewSeq += 1;
  shownPose.viewSent(viewSeq, pose);
  telemetry.join.viewSent(viewSeq, now, movedAt_ms ?? now);
  movedAt_ms = null;
  return true;
}

/** Not by the way of pictures, where answers wait for the next picture and would tell no clock. */
function ping() {
  const { session } = viewer;
  if (session instanceof Session) session.send(pingMessage(performance.now()));
}

const meshPacer = new FramePacer(sendMesh, requestAnimationFrame.bind(window));

function sendMesh() {
  const now = performance.now();
  const { seq, text } = face.message(now);
  meshSentAt_ms = now;
  if (!viewer.session?.send(text)) return;
  meshSeq = seq;
  telemetry.join.meshSent(seq, now);
}

/** @param {number} [at_ms] when the hand moved */
function viewMoved(at_ms = performance.now()) {
  movedAt_ms = at_ms;
  viewClock.moved();
  document.body.classList.add("touched");
  animate();
}

function faceMoved() {
  meshPacer.request();
  showDriving();
  animate();
}

/** Runs once a frame while the view glides or the face is driven. */
function animate() {
  if (animating) return;
  animating = true;
  steppedAt_ms = glidedAt_ms = performance.now();
  requestAnimationFrame(step);
}

function step() {
  const now = performance.now();
  const dt_s = Math.min((now - steppedAt_ms) / 1000, 0.1);
  steppedAt_ms = now;
  if (orbit.moving) stepView();
  else glidedAt_ms = now;
  if (face.driving) stepFace(now, dt_s);
  animating = orbit.moving || face.driving;
  if (animating) requestAnimationFrame(step);
}

function stepView() {
  glide();
  lateView.draw();
  viewClock.glides();
}

/** Moves the gliding eye to where it is by now. */
function glide() {
  const now = performance.now();
  orbit.step(Math.min((now - glidedAt_ms) / 1000, 0.1));
  glidedAt_ms = movedAt_ms = now;
}

function stepFace(now, dt_s) {
  face.step(now / 1000, dt_s);
  const every_ms = face.moving ? MOVING_MESH_MS : STILL_MESH_MS;
  if (face.driving && now - meshSentAt_ms >= every_ms) meshPacer.request();
  if (!face.driving) showDriving();
}

// --- the page ----------------------------------------------------------------------------------

function showDriving() {
  document.body.classList.toggle("driving", face.driving);
  $("#driving").inert = !face.driving;
  for (const button of document.querySelectorAll("button[data-release]")) {
    button.toggleAttribute("disabled", !face.driving);
  }
  if (!face.driving) controls.refresh();
}

function release() {
  face.release(performance.now() / 1000);
  controls.refresh();
}

function resetView() {
  orbit.goHome();
  viewMoved();
}

function togglePanel(button, panel, open = button.getAttribute("aria-expanded") !== "true") {
  button.setAttribute("aria-expanded", String(open));
  panel.inert = !open;
  document.body.classList.toggle(`${panel.id}-open`, open);
}

function toggleFullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.().catch(() => {}); // refused where it may not
}

const toggleControls = (open) => togglePanel($("#controls-button"), $("#controls"), open);
const toggleHud = () => togglePanel($("#hud-button"), $("#hud"));

function toggleDetails() {
  const button = $("#details-button");
  const open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(open));
  $("#details").hidden = !open;
  showNumbers();
}

function showNumbers() {
  const now = performance.now();
  const measured = telemetry.measured(now);
  hud.show(measured, state === "live");
  stagesPanel.show(measured, telemetry.log, now);
}

function toggleLateView({ target }) {
  if (!target.checked) return lateView.stop();
  if (lateView.start()) return;
  target.checked = false;
  target.disabled = true;
  target.nextElementSibling.textContent = "Following your movement needs WebGL";
}

/** Gives the table of frames to the browser as a file. */
function saveFrames() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([telemetry.log.toCsv()], { type: "text/csv" }));
  link.download = `telewarp-${stream}-${new Date().toISOString().replaceAll(/[:.]/g, "-")}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), AFTER_ERROR_MS); // once it has been read
}

async function measure() {
  const session = viewer.session;
  if (!session) return;
  const { bytes, frames } = await session.received();
  telemetry.received(bytes, performance.now());
  if (!video.requestVideoFrameCallback) telemetry.decoded(frames, performance.now());
}

function listen(selector, listener) {
  for (const element of document.querySelectorAll(selector)) {
    element.addEventListener("click", listener, { signal: life.signal });
  }
}

listen("#controls-button", () => toggleControls());
listen("#controls-close", () => toggleControls(false));
listen("#hud-button", toggleHud);
listen("#details-button", toggleDetails);
$("#late-switch").addEventListener("change", toggleLateView, { signal: life.signal });
listen("#export-button", saveFrames);
listen("#reset-button", resetView);
listen("#fullscreen-button", toggleFullscreen);
listen("[data-release]", release);

new Gestures(stage, orbit, viewMoved, life.signal);
const keys = {
  r: resetView,
  h: toggleHud,
  c: () => toggleControls(),
  f: toggleFullscreen,
  escape: () => toggleControls(false),
};
new Keyboard(window, orbit, viewMoved, keys, life.signal);

const backdrop = new Backdrop(onScreen, document.documentElement, document.createElement("canvas"));
backdrop.start(life.signal);
controls.setNames(ARKIT_NAMES);
showDriving();
video.requestVideoFrameCallback?.(frameShown);
video.addEventListener("loadeddata", pictureShown); // for browsers that do not call back per frame

setInterval(sendView, HEARTBEAT_MS);
setInterval(showNumbers, HUD_EVERY_MS);
setInterval(ping, PING_EVERY_MS);
setInterval(measure, HEARTBEAT_MS);

window.addEventListener("online", () => viewer.retryNow());
window.addEventListener("hashchange", () => {
  access.takeFrom(location, history);
  viewer.retryNow();
});
window.addEventListener("pagehide", () => {
  viewer.close();
  life.abort();
});
// A page brought back from the browser's cache has left its session: start afresh.
window.addEventListener("pageshow", ({ persisted }) => persisted && location.reload());

/** For tests, benchmarks and the console. */
Object.defineProperty(window, "telewarp", {
  value: Object.freeze({
    stats: () => ({
      ...telemetry.measured(performance.now()),
      late_reprojection: lateView.on,
      view_lead_ms: viewClock.lead_ms,
      frame_stages_ms: telemetry.frameStages(performance.now()),
      state,
      way: document.body.dataset.way ?? null,
      trouble: trouble?.kind ?? null,
      session: viewer.session?.id ?? null,
      stream,
      view_seq_sent: viewSeq,
      mesh_seq_sent: meshSeq,
      view: { yaw_rad: orbit.yaw_rad, pitch_rad: orbit.pitch_rad, zoom: orbit.zoom },
      driving: face.driving,
    }),
    setView: ({ yaw_rad = orbit.yaw_rad, pitch_rad = orbit.pitch_rad }) => {
      orbit.turnTo(yaw_rad, pitch_rad);
      viewMoved();
    },
  }),
});

viewer.run();

// The smaller parts of the page: driving, toolbar, avatar, statistics, lifecycle, export and API.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AvatarSetup } from "../../../client_web/js/app/avatar_setup.js";
import { Driving } from "../../../client_web/js/app/driving.js";
import { csvName } from "../../../client_web/js/app/frame_export.js";
import { followPage } from "../../../client_web/js/app/lifecycle.js";
import { pageApi } from "../../../client_web/js/app/page_api.js";
import { Statistics } from "../../../client_web/js/app/statistics.js";
import { Toolbar } from "../../../client_web/js/app/toolbar.js";
import { Face } from "../../../client_web/js/input/face.js";
import { Orbit } from "../../../client_web/js/input/orbit.js";
import { Telemetry } from "../../../client_web/js/timing/telemetry.js";
import { FakeDocument, FakeElement } from "../fakes.js";

const never = new AbortController().signal;

test("the page shows whether the face is driven, and a release eases it to rest", () => {
  const elements = {
    body: new FakeElement(),
    banner: new FakeElement(),
    releaseButtons: [new FakeElement(), new FakeElement()],
  };
  let refreshed = 0;
  const face = new Face(0);
  const refresh = () => refreshed++;
  const driving = new Driving(elements, face, refresh, () => 2000);
  face.set({ jawOpen: 1 });
  driving.show();
  assert.ok(elements.body.classes.has("driving"));
  assert.equal(elements.banner.inert, false);
  assert.deepEqual(
    elements.releaseButtons.map(({ disabled }) => disabled),
    [false, false],
  );
  assert.equal(refreshed, 0);
  driving.release();
  assert.equal(refreshed, 1);
  face.step(2.5, 0.02);
  driving.show();
  assert.ok(!elements.body.classes.has("driving"));
  assert.equal(elements.banner.inert, true);
  assert.equal(refreshed, 2);
});

function toolbarOf(late = { start: () => true, stop: () => {} }) {
  const page = new FakeDocument();
  const calls = [];
  const action = (name) => () => calls.push(name);
  const toolbar = new Toolbar(page, never, {
    resetView: action("reset"),
    release: action("release"),
    saveFrames: action("save"),
    showStatistics: action("statistics"),
    late,
  });
  return { toolbar, page, calls };
}

test("a panel and its button open and close together, by click or key", () => {
  const { toolbar, page } = toolbarOf();
  const [button, panel] = ["#controls-button", "#controls"].map((id) => page.querySelector(id));
  const state = () => [
    button.getAttribute("aria-expanded"),
    panel.inert,
    page.body.classes.has("controls-open"),
  ];
  button.click();
  assert.deepEqual(state(), ["true", false, true]);
  toolbar.keys.c();
  assert.deepEqual(state(), ["false", true, false]);
  toolbar.keys.escape();
  assert.deepEqual(state(), ["false", true, false]);
});

test("buttons run their actions, and opening the details shows statistics", () => {
  const { page, calls } = toolbarOf();
  for (const id of ["#reset-button", "#export-button", "[data-release]", "#details-button"]) {
    page.querySelector(id).click();
  }
  assert.deepEqual(calls, ["reset", "save", "release", "statistics"]);
  assert.equal(page.querySelector("#details").hidden, false);
});

test("the switch of late reprojection is disabled with a reason if it is not available", () => {
  const { page } = toolbarOf({ start: () => false, stop: () => {} });
  const input = page.querySelector("#late-switch");
  input.nextElementSibling = new FakeElement();
  input.checked = true;
  input.dispatchEvent(new Event("change"));
  assert.deepEqual([input.checked, input.disabled], [false, true]);
  assert.equal(input.nextElementSibling.textContent, "Following your movement needs WebGL");
});

test("late reprojection follows its switch", () => {
  const calls = [];
  const late = { start: () => calls.push("start"), stop: () => calls.push("stop") };
  const { page, toolbar } = toolbarOf(late);
  const input = page.querySelector("#late-switch");
  for (const checked of [true, false]) {
    input.checked = checked;
    input.dispatchEvent(new Event("change"));
  }
  assert.deepEqual(calls, ["start", "stop"]);
  input.checked = true;
  toolbar.lateReprojectionLost();
  assert.equal(input.checked, false);
});

async function fitted(stream, avatar) {
  const calls = [];
  const targets = {
    orbit: { setHome: (position) => calls.push(["home", position]) },
    face: { fit: (names, range) => calls.push(["face", names, range]) },
    controls: { setNames: (names, range) => calls.push(["controls", names, range]) },
    late: { fov_y_rad: 0.4 },
    headWindow: { setHome: (position, fov) => calls.push(["window", position, fov]) },
    streamName: { textContent: "" },
    onReady: () => calls.push(["ready"]),
  };
  await new AvatarSetup(stream, new URL("http://h/"), never, targets, async () => avatar).load();
  return { calls, ...targets };
}

test("the page is configured for the avatar before views are sent", async () => {
  const avatar = {
    name: "Ada",
    eye_position: [0, 0, 0.7],
    fov_y_rad: 0.5,
    expression_names: ["jawOpen"],
    expression_range: [0, 1],
  };
  const { calls, late, streamName } = await fitted("demo", avatar);
  assert.deepEqual(calls, [
    ["home", [0, 0, 0.7]],
    ["window", [0, 0, 0.7], 0.5],
    ["controls", ["jawOpen"], [0, 1]],
    ["face", ["jawOpen"], [0, 1]],
    ["ready"],
  ]);
  assert.equal(late.fov_y_rad, 0.5);
  assert.equal(streamName.textContent, "Ada");
  assert.equal((await fitted("me", avatar)).streamName.textContent, "me");
});

test("without a response the page uses its defaults", async () => {
  const { calls, streamName } = await fitted("demo", null);
  assert.deepEqual(calls, [["ready"]]);
  assert.equal(streamName.textContent, "demo");
});

test("only WebRTC sessions are pinged, and received bytes are measured", async () => {
  const telemetry = new Telemetry();
  const sent = [];
  let session = null;
  const parts = { telemetry, state: { live: true }, display: { reportsFrames: true } };
  const page = new FakeDocument();
  const statistics = new Statistics(page, { ...parts, session: () => session }, () => 2000);
  statistics.ping();
  await statistics.measure();
  const received = async () => ({ bytes: 1000, frames: 30 });
  const send = (text) => sent.push(JSON.parse(text));
  session = { delivery: "jpeg", send, received };
  statistics.ping();
  assert.deepEqual(sent, []);
  session = { delivery: "webrtc", send, received };
  statistics.ping();
  assert.deepEqual(sent, [{ type: "ping", sent_at_ms: 2000 }]);
  await statistics.measure();
  assert.equal(telemetry.measured(2000).latency_measurable, true);
  parts.display.reportsFrames = false;
  const other = new Statistics(page, { ...parts, session: () => session }, () => 2000);
  await other.measure();
  assert.equal(telemetry.measured(2000).latency_measurable, false);
});

test("changes of network and address, and the closing of the page, reach the connection", () => {
  const calls = [];
  const window = new EventTarget();
  window.location = { reload: () => calls.push("reload") };
  const life = new AbortController();
  const manager = { retryNow: () => calls.push("retry"), close: () => calls.push("close") };
  followPage(window, { manager, life, readToken: () => calls.push("token") });
  window.dispatchEvent(new Event("online"));
  window.dispatchEvent(new Event("hashchange"));
  window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: false }));
  assert.equal(life.signal.aborted, false);
  window.dispatchEvent(new Event("pagehide"));
  assert.equal(life.signal.aborted, true);
  window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  assert.deepEqual(calls, ["retry", "token", "retry", "close", "reload"]);
});

test("the file of frames is named after stream and time", () => {
  const date = new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 6));
  assert.equal(csvName("demo", date), "telewarp-demo-2026-01-02T03-04-05-006Z.csv");
});

test("the page's API keeps the names of states and deliveries that scripts use", () => {
  const state = { name: "queued", trouble: null };
  const display = { delivery: null };
  const orbit = new Orbit();
  let moved = 0;
  const api = pageApi(
    {
      ...{ state, display, stream: "demo", telemetry: new Telemetry(), late: { on: false } },
      input: {
        orbit,
        face: { driving: false },
        viewpoint: { following: false },
        viewSender: { seq: 3, clock: { lead_ms: null } },
        meshSender: { seq: null },
        viewMoved: () => moved++,
      },
      session: () => ({ id: "abc" }),
    },
    () => 0,
  );
  const { state: name, way, session, view_seq_sent } = api.stats();
  assert.deepEqual([name, way, session, view_seq_sent], ["in-line", null, "abc", 3]);
  display.delivery = "jpeg";
  state.name = "live";
  assert.deepEqual([api.stats().state, api.stats().way], ["live", "pictures"]);
  api.setView({ yaw_rad: 0.2 });
  assert.equal(api.stats().view.yaw_rad, 0.2);
  assert.equal(moved, 1);
});

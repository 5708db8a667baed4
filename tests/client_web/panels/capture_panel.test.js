import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { CapturePanel } from "../../../client_web/js/panels/capture_panel.js";
import { FakeDocument, FakeElement, FakeVideo } from "../fakes.js";

const DAY = "2026-01-02";
const real = globalThis.FormData;
let entered;
beforeEach(() => {
  entered = { name: "Ada", token: "" };
  globalThis.FormData = class {
    get = (name) => entered[name];
  };
  mock.method(URL, "createObjectURL", (blob) => `blob:${blob}`);
  mock.method(URL, "revokeObjectURL", () => {});
});
afterEach(() => {
  globalThis.FormData = real;
  mock.restoreAll();
});

/** A panel with a part for each set of phases, and what it reports. */
function capturePanel() {
  const page = new FakeDocument();
  const create = page.createElement.bind(page);
  page.createElement = (name) => (name === "video" ? new FakeVideo(page) : create(name));
  const element = new FakeElement(page);
  const camera = element.querySelector(".camera");
  Object.assign(camera, { prepend: () => {}, ownerDocument: page });
  const parts = ["consent", "consent recording", "recording review", "job", "ended"].map(
    (phases) => {
      const part = new FakeElement(page);
      part.dataset.in = phases;
      return part;
    },
  );
  const all = element.querySelectorAll.bind(element);
  element.querySelectorAll = (selector) => (selector === "[data-in]" ? parts : all(selector));
  const calls = [];
  const names = ["begin", "finish", "upload", "again", "remove"];
  const actions = Object.fromEntries(
    names.map((name) => [name, (...a) => calls.push([name, ...a])]),
  );
  const panel = new CapturePanel(element, actions, DAY);
  const text = (name) => element.querySelector(`[data-${name}]`).textContent;
  return { panel, element, parts, calls, text };
}

const COVERED = {
  yaw: [true, true, true, false, false],
  pitch: [false, true, false],
  expressions: { open: 1, round: 0.4, pursed: 0, smile: 0, blink: 0, brows: 0 },
  share: 0.456,
};

test("each phase shows its parts alone", () => {
  const { panel, element, parts } = capturePanel();
  panel.phase = "recording";
  assert.equal(element.dataset.phase, "recording");
  assert.deepEqual(
    parts.map(({ hidden }) => hidden),
    [true, false, false, true, true],
  );
  panel.phase = "ended";
  assert.deepEqual(
    parts.map(({ hidden }) => hidden),
    [true, true, true, true, false],
  );
});

test("the statement has the person's name and the day, and is sent as it was shown", () => {
  const { panel, element, calls, text } = capturePanel();
  panel.open("");
  assert.match(text("consent"), /^I am …\./);
  const form = element.querySelector("[data-setup]");
  const name = form.querySelector('input[name="name"]');
  name.value = "Ada";
  name.dispatchEvent(new Event("input"));
  assert.match(text("consent"), /^I am Ada\. .* 2026-01-02$/);
  form.dispatchEvent(new Event("submit", { cancelable: true }));
  assert.deepEqual(calls, [["begin", { name: "Ada", consent: text("consent"), token: "" }]]);
});

test("what the camera has seen is shown as in a mirror, with a share of the whole", () => {
  const { panel, element, text } = capturePanel();
  panel.showCoverage(COVERED);
  const seen = (name) =>
    element.querySelector(`[data-${name}]`).children.map(({ classes }) => classes.has("seen"));
  assert.deepEqual(seen("yaw"), [false, false, true, true, true]);
  assert.deepEqual(seen("pitch"), [false, true, false]);
  assert.deepEqual(seen("expressions"), [true, false, false, false, false, false]);
  assert.equal(element.querySelector("[data-yaw]").getAttribute("aria-label"), "3 of 5 seen");
  assert.equal(text("covered"), "46 %");
});

test("a recording can be played, says what it lacks, and frees the one before", () => {
  const { panel, element, text } = capturePanel();
  const place = element.querySelector("[data-recording]");
  element.querySelector = (
    (query) => (selector) =>
      selector === "[data-recording] video" ? (place.children.at(-1) ?? null) : query(selector)
  )(element.querySelector.bind(element));
  panel.showRecording("first", "chin up");
  const [video] = place.children;
  Object.assign(video, { remove: () => place.replaceChildren() });
  assert.deepEqual([video.src, video.controls], ["blob:first", true]);
  assert.match(text("missing"), /chin up/);
  panel.showRecording("second", "");
  assert.deepEqual(URL.revokeObjectURL.mock.calls[0].arguments, ["blob:first"]);
  assert.equal(place.children[0].src, "blob:second");
  assert.doesNotMatch(text("missing"), /chin up/);
});

test("progress and result of the job are shown", () => {
  const { panel, element, text } = capturePanel();
  panel.showProgress({ title: "Step 2 of 5", detail: "Fitting.", share: 0.3 });
  assert.deepEqual([text("job-title"), text("job-detail")], ["Step 2 of 5", "Fitting."]);
  assert.equal(element.querySelector("progress").value, 0.3);
  const link = element.querySelector("[data-result]");
  panel.showResult(null);
  assert.equal(link.hidden, true);
  panel.showResult("ada");
  assert.deepEqual([link.hidden, link.href], [false, "?publish"]);
});

test("buttons run their actions", () => {
  const { element, calls } = capturePanel();
  for (const action of ["finish", "upload", "again", "remove"]) {
    element.querySelector(`[data-do=${action}]`).click();
  }
  assert.deepEqual(calls, [["finish"], ["upload"], ["again"], ["remove"]]);
});

// From the consent of a person to the avatar, with fakes of the camera, the recorder and the server.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Capturing } from "../../../client_web/js/app/capturing.js";
import { LENGTH_S } from "../../../client_web/js/tracking/capture_steps.js";
import { FakeDocument, FakeVideo, settled } from "../fakes.js";
import { face } from "../tracking/faces.js";

const BASE = new URL("https://server.test/");
const JOB = {
  ...{ id: "j1", state: "running", position: null, stage: "fit", stage_index: 1, stages: 4 },
  ...{ fraction: 0.5, message: "fitting the head", avatar: null, error: null },
};
const GLOBALS = ["navigator", "MediaRecorder", "FormData", "fetch", "localStorage"];
const real = GLOBALS.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
const provide = (name, value) =>
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

let clock;
let recorder;
let requests;
let kept;
/** The server's answer to a request, by method and path. */ let answer;
/** What the browser does when the camera is requested. */ let camera;
beforeEach(() => {
  clock = { now_ms: 0 };
  recorder = null;
  requests = [];
  kept = new Map();
  answer = () => Response.json([]);
  camera = { track: { stopped: 0 } };
  camera.track.stop = () => {
    camera.track.stopped += 1;
  };
  camera.open = async () => ({
    getTracks: () => [camera.track],
    getVideoTracks: () => [camera.track],
  });
  provide("navigator", { mediaDevices: { getUserMedia: () => camera.open() } });
  provide(
    "FormData",
    class {
      get = (name) => ({ name: "Ada", token: "" })[name];
    },
  );
  provide("localStorage", {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, text) => kept.set(key, text),
  });
  provide(
    "MediaRecorder",
    class {
      static isTypeSupported = (format) => format.startsWith("video/webm");
      state = "inactive";

      constructor(_stream, { mimeType }) {
        this.mimeType = mimeType;
        recorder = this;
      }

      start() {
        this.state = "recording";
      }

      stop() {
        this.state = "inactive";
        this.ondataavailable({ data: new Blob(["the video"]) });
        this.onstop();
      }
    },
  );
  provide("fetch", async (address, { method = "GET", body } = {}) => {
    requests.push({ request: `${method} ${address.pathname}`, body });
    return answer(`${method} ${address.pathname}`);
  });
  mock.method(URL, "createObjectURL", () => "blob:video");
  mock.method(URL, "revokeObjectURL", () => {});
  mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
  for (const [name, descriptor] of real) {
    if (descriptor) Object.defineProperty(globalThis, name, descriptor);
    else delete globalThis[name];
  }
});

/** The page of a recording, its parts, and the events of its tracker. */
function capturing({ start = async () => {} } = {}) {
  const page = new FakeDocument();
  const create = page.createElement.bind(page);
  page.createElement = (name) => (name === "video" ? new FakeVideo(page) : create(name));
  const element = page.querySelector("#capture");
  Object.assign(element.querySelector(".camera"), { prepend: () => {}, ownerDocument: page });
  const query = element.querySelector.bind(element);
  const place = query("[data-recording]");
  element.querySelector = (selector) =>
    selector === "[data-recording] video" ? (place.children[0] ?? null) : query(selector);
  place.append = (video) =>
    place.replaceChildren(Object.assign(video, { remove: () => place.replaceChildren() }));
  let events = null;
  const tracker = {
    load: async () => {},
    start,
    stop: () => {},
    close: () => {},
    connections: null,
  };
  const now = () => clock.now_ms;
  const all = new Capturing(page, BASE, now, (wanted) => {
    events = wanted;
    return tracker;
  });
  all.open("Ada");
  const text = (name) => element.querySelector(`[data-${name}]`).textContent;
  const press = async (action) => {
    element.querySelector(`[data-do=${action}]`).click();
    await settled();
  };
  const begin = async () => {
    const event = new Event("submit", { cancelable: true });
    element.querySelector("[data-setup]").dispatchEvent(event);
    await settled();
    await settled();
  };
  return { all, element, text, press, begin, tracked: (found) => events.onFace({ face: found }) };
}

/** Let time pass, in steps in which the page shows something new. */
function pass(duration_s) {
  for (let passed_s = 0; passed_s < duration_s; passed_s += 0.1) {
    clock.now_ms += 100;
    mock.timers.tick(100);
  }
}

test("the person is guided for a minute, and then sees the recording", async () => {
  const { element, text, begin, tracked } = capturing();
  await begin();
  assert.equal(element.dataset.phase, "recording");
  assert.equal(recorder.mimeType, "video/webm;codecs=vp9");
  assert.match(text("step"), /Look straight/);
  tracked(face());
  pass(7);
  assert.match(text("step"), /Turn your head/);
  assert.notEqual(text("covered"), "0 %");
  pass(LENGTH_S - 7);
  assert.equal(recorder.state, "inactive");
  assert.equal(element.dataset.phase, "review");
  assert.equal(camera.track.stopped, 1, "the camera is off");
  assert.match(text("missing"), /chin up/);
});

test("nothing is sent before the upload", async () => {
  const { begin, press } = capturing();
  await begin();
  await press("finish");
  assert.ok(requests.every(({ request }) => request === "GET /v1/avatars/jobs"));
});

test("a job is followed to its avatar, which is then the one to go live with", async () => {
  const { element, text, begin, press } = capturing();
  await begin();
  await press("finish");
  let job = JOB;
  answer = () => Response.json(job);
  await press("upload");
  await settled();
  const upload = requests.find(({ request }) => request === "POST /v1/avatars");
  assert.equal(await upload.body.text(), "the video");
  assert.equal(element.dataset.phase, "job");
  assert.deepEqual([text("job-title"), text("job-detail")], ["Step 2 of 4", "Fitting the head."]);
  job = { ...JOB, state: "done", avatar: "ada" };
  mock.timers.tick(1000);
  await settled();
  assert.equal(element.dataset.phase, "ended");
  assert.equal(element.querySelector("[data-result]").hidden, false);
  assert.equal(JSON.parse(kept.get("telewarp.publish")).avatar, "ada");
  assert.equal(URL.revokeObjectURL.mock.callCount(), 1, "the recording is freed");
});

test("a failed job says why, and leaves the choice of avatar as it was", async () => {
  const { element, text, begin, press } = capturing();
  await begin();
  await press("finish");
  answer = () => Response.json({ ...JOB, state: "failed", error: "no face was found" });
  await press("upload");
  await settled();
  assert.equal(element.dataset.phase, "ended");
  assert.deepEqual(
    [text("job-title"), text("job-detail")],
    ["No avatar was made", "No face was found."],
  );
  assert.equal(element.querySelector("[data-result]").hidden, true);
  assert.equal(kept.size, 0);
});

test("a job goes on while the server cannot be reached", async () => {
  const { element, text, begin, press } = capturing();
  await begin();
  await press("finish");
  answer = () => Response.json(JOB);
  await press("upload");
  await settled();
  answer = () => {
    throw new TypeError("the network was lost");
  };
  mock.timers.tick(1000);
  await settled();
  assert.equal(element.dataset.phase, "job");
  assert.equal(text("job-title"), "Step 2 of 4");
});

test("a refused upload keeps the recording, to try again", async () => {
  const { element, text, begin, press } = capturing();
  await begin();
  await press("finish");
  answer = () => Response.json({ detail: "at most 500 MB" }, { status: 413 });
  await press("upload");
  await settled();
  assert.equal(element.dataset.phase, "review");
  assert.equal(text("words-title"), "The video is too large");
});

test("deleting the video ends the job on the server", async () => {
  const { element, begin, press } = capturing();
  await begin();
  await press("finish");
  answer = () => Response.json(JOB);
  await press("upload");
  await settled();
  await press("remove");
  assert.equal(requests.at(-1).request, "DELETE /v1/avatars/jobs/j1");
  assert.equal(element.dataset.phase, "consent");
});

test("without a camera nothing is recorded, and the reason is shown", async () => {
  camera.open = async () => {
    throw new DOMException("", "NotFoundError");
  };
  const { element, text, begin } = capturing();
  await begin();
  assert.equal(recorder, null);
  assert.equal(element.dataset.phase, "consent");
  assert.equal(text("words-title"), "No camera was found");
  assert.equal(element.querySelector("[type=submit]").disabled, false);
});

test("without a tracker the camera is switched off again", async () => {
  const { begin } = capturing({
    start: async () => {
      throw new Error("no WebGL");
    },
  });
  await begin();
  assert.equal(recorder, null);
  assert.equal(camera.track.stopped, 1);
});

test("a server that makes no avatars says so before a minute is spent", async () => {
  answer = () => Response.json({ detail: "start it with --avatar-store" }, { status: 404 });
  const { element, text, begin } = capturing();
  await settled();
  assert.equal(text("words-title"), "This server makes no avatars yet");
  assert.equal(element.querySelector("[data-setup]").hidden, true);
  await begin();
  assert.equal(recorder, null);
});

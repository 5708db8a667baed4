import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { PageBackground } from "../../../client_web/js/app/page_background.js";
import { FakeDocument, FakeElement, fakeGl } from "../fakes.js";

const ENDPOINT = new URL("https://server.test/v1/streams/demo/whep");

beforeEach(() => {
  globalThis.devicePixelRatio = 2;
});
afterEach(() => {
  delete globalThis.devicePixelRatio;
});

function shown(wanted, { webgl = true, perFrame = true } = {}) {
  const page = new FakeDocument();
  const messages = [];
  const drawn = [];
  const clear = Object.assign(new FakeElement(), { clientWidth: 800, width: 0, height: 0 });
  clear.getContext = () =>
    webgl ? fakeGl({ uniform2f: (_location, ...size) => drawn.push(size) }) : null;
  const video = { videoWidth: 320, videoHeight: 656 };
  if (perFrame) video.requestVideoFrameCallback = () => {};
  const elements = { clear, video, jpeg: {} };
  const background = new PageBackground(page, elements, wanted, (words) => messages.push(words));
  return { background, root: page.documentElement, clear, video, messages, drawn };
}

test("without a background parameter the page keeps its interface and requests nothing", () => {
  const { background, root, drawn, video } = shown(null);
  assert.equal(background.of(ENDPOINT), ENDPOINT);
  assert.deepEqual([...root.classes], []);
  background.frameDisplayed(video);
  assert.deepEqual(drawn, []);
});

test("a colour is requested, and is also the colour of the page", () => {
  const { background, root } = shown("00b140");
  assert.equal(background.of(ENDPOINT).search, "?background=00b140");
  assert.equal(ENDPOINT.search, "");
  assert.deepEqual([...root.classes], ["own-background"]);
  assert.equal(root.attributes.get("--studio"), "#00b140");
});

test("an invalid background is sent to the server, and never becomes a style", () => {
  const { background, root } = shown("red;}");
  assert.equal(background.of(ENDPOINT).searchParams.get("background"), "red;}");
  assert.equal(root.attributes.has("--studio"), false);
});

test("a head on a transparent background is drawn per frame, at twice its size at most", () => {
  const { background, root, clear, video, drawn, messages } = shown("transparent");
  assert.deepEqual([...root.classes], ["own-background", "transparent"]);
  background.frameDisplayed(video);
  assert.deepEqual(drawn, [[320, 656]]);
  assert.deepEqual([clear.width, clear.height], [640, 640]);
  background.frameDisplayed({ width: 64, height: 144 }); // of the JPEG fallback
  assert.deepEqual(drawn.at(-1), [64, 144]);
  background.frameDisplayed({ videoWidth: 320, videoHeight: 320 });
  background.frameDisplayed({ videoWidth: 0, videoHeight: 0 });
  assert.equal(drawn.length, 2, "a frame without layers is not drawn");
  assert.deepEqual(messages, []);
});

test("a browser that cannot compose the head is reported", () => {
  for (const browser of [{ webgl: false }, { perFrame: false }]) {
    const { background, video, messages, drawn } = shown("transparent", browser);
    assert.match(messages.join(), /needs WebGL/);
    background.frameDisplayed(video);
    assert.deepEqual(drawn, []);
  }
});

test("a lost context is used again once it is restored", () => {
  const { background, clear, video, drawn } = shown("transparent");
  const lost = new Event("webglcontextlost", { cancelable: true });
  clear.dispatchEvent(lost);
  assert.ok(lost.defaultPrevented);
  background.frameDisplayed(video);
  assert.equal(drawn.length, 0);
  clear.dispatchEvent(new Event("webglcontextrestored"));
  background.frameDisplayed(video);
  assert.equal(drawn.length, 1);
});

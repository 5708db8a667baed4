import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { RefinedImage } from "../../../client_web/js/app/refined_image.js";
import { loadStill } from "../../../client_web/js/connection/stills.js";

const settle = () => new Promise((resolve) => setImmediate(resolve));

/** @type {any[]} */ let drawn = [];
let closed = 0;

beforeEach(() => {
  drawn = [];
  closed = 0;
  Object.assign(globalThis, {
    createImageBitmap: async (/** @type {any} */ blob) => ({
      height: blob.height,
      close: () => {
        closed += 1;
      },
    }),
  });
});

afterEach(() => {
  // @ts-expect-error: Node has none
  delete globalThis.createImageBitmap;
});

/** @param {Partial<import("../../../client_web/js/app/refined_image.js").StillSource>} [source] */
function refinedImage(source = {}) {
  const classes = new Set();
  const context = {
    drawImage: (/** @type {any} */ bitmap, /** @type {number[]} */ ...place) =>
      drawn.push([bitmap.height, ...place]),
  };
  const canvas = {
    width: 0,
    height: 0,
    classList: {
      add: (/** @type {string} */ name) => classes.add(name),
      remove: (/** @type {string} */ name) => classes.delete(name),
      contains: (/** @type {string} */ name) => classes.has(name),
    },
    getContext: () => context,
  };
  const image = new RefinedImage(/** @type {any} */ ({ refined: canvas }), {
    load: async () => /** @type {any} */ ({ height: 448 }),
    size_px: () => 800,
    ...source,
  });
  return { image, canvas };
}

test("a refined still covers frames of the same state, in device pixels", async () => {
  const { image, canvas } = refinedImage();
  image.frameDisplayed(null, 10);
  image.frameDisplayed(3, 20);
  assert.equal(image.visible, false, "not before it is loaded");
  await settle();
  assert.equal(image.visible, true);
  assert.equal(image.shown, 1);
  assert.deepEqual(drawn, [[448, 0, 0, 800, 800]]);
  assert.equal(canvas.height, 800);
  assert.equal(closed, 1);
});

test("the still is hidden by the first frame of another state", async () => {
  const { image } = refinedImage();
  image.frameDisplayed(3, 20);
  await settle();
  image.frameDisplayed(3, 30);
  assert.equal(image.visible, true);
  image.frameDisplayed(null, 40);
  assert.equal(image.visible, false);
});

test("the late event of an earlier frame does not show the still again", async () => {
  const { image } = refinedImage();
  image.frameDisplayed(3, 20);
  image.frameDisplayed(null, 40);
  image.frameDisplayed(3, 30);
  await settle();
  assert.equal(image.visible, false);
});

test("a still that arrives after a movement is not shown", async () => {
  /** @type {(blob: any) => void} */ let arrive = () => {};
  /** @type {AbortSignal | undefined} */ let signal;
  const { image } = refinedImage({
    load: (_number, aborts) => {
      signal = aborts;
      return new Promise((resolve) => {
        arrive = resolve;
      });
    },
  });
  image.frameDisplayed(3, 20);
  image.frameDisplayed(null, 40);
  assert.equal(signal?.aborted, true);
  arrive({ height: 448 });
  await settle();
  assert.equal(image.visible, false);
  assert.deepEqual(drawn, []);
  assert.equal(closed, 1);
});

test("if a still cannot be loaded the frames stay visible, and the next one is loaded", async () => {
  let fails = true;
  const { image } = refinedImage({
    load: async () => {
      if (fails) throw new TypeError("the network was lost");
      return /** @type {any} */ ({ height: 448 });
    },
  });
  image.frameDisplayed(3, 20);
  await settle();
  assert.equal(image.visible, false);
  fails = false;
  image.frameDisplayed(4, 60);
  await settle();
  assert.equal(image.visible, true);
});

test("a still is loaded from its session, and missing after a movement", async () => {
  /** @type {string[]} */ const requested = [];
  const session = new URL("https://host.example/face/v1/sessions/abc");
  const { signal } = new AbortController();
  const answers = [new Response("jpeg"), new Response("moved", { status: 404 })];
  const fetch = /** @type {any} */ (
    async (/** @type {URL} */ address) => {
      requested.push(address.href);
      return answers.shift();
    }
  );
  assert.equal(await (await loadStill(session, 7, signal, fetch))?.text(), "jpeg");
  assert.equal(await loadStill(session, 8, signal, fetch), null);
  assert.deepEqual(requested, [`${session.href}/stills/7`, `${session.href}/stills/8`]);
});

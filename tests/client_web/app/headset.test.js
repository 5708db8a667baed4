// The viewer in a headset, with a fake XR device that a test moves.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Headset } from "../../../client_web/js/app/headset.js";
import { HeadWindow } from "../../../client_web/js/input/head_window.js";
import { product } from "../../../client_web/js/reprojection/window_scene.js";
import { FakeElement, settled } from "../fakes.js";

const IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
const HALF_IPD_M = 0.0315;

const rounded = (metres) => Math.round(metres * 1e6) / 1e6;

/** A WebGL context that records what is drawn. */
function fakeGl(drawn) {
  const known = {
    getProgramParameter: () => true,
    createTexture: () => ({}),
    getUniformLocation: (_program, name) => name,
    bindTexture: (_target, texture) => Object.assign(known, { texture }),
    texImage2D: (...parameters) => Object.assign(known.texture, { source: parameters.at(-1) }),
    viewport: (x) => Object.assign(known, { x }),
    uniformMatrix4fv: (_at, _transposed, place) => Object.assign(known, { place }),
    drawArrays: () => drawn.push({ x: known.x, source: known.texture.source, place: known.place }),
  };
  return new Proxy(known, { get: (target, name) => target[name] ?? (() => ({})) });
}

class FakeSession extends EventTarget {
  ended = 0;
  next = null;
  updateRenderState = async () => {};
  requestReferenceSpace = async (kind) => kind;
  requestAnimationFrame = (callback) => {
    this.next = callback;
  };

  async end() {
    this.ended += 1;
    this.dispatchEvent(new Event("end"));
  }

  /** Draw a frame with the head at a position. */
  frame(x = 0) {
    const views = ["left", "right"].map((eye, index) => ({
      eye,
      projectionMatrix: IDENTITY,
      transform: {
        position: { x: x + (index ? HALF_IPD_M : -HALF_IPD_M), y: 0, z: 0 },
        inverse: { matrix: IDENTITY },
      },
    }));
    this.next(0, { getViewerPose: () => ({ views }) });
  }
}

class FakeEye {
  looked = [];
  displayed = null;
  closed = 0;
  setView = (view) => this.looked.push(view);
  close = () => {
    this.closed += 1;
  };

  show(source) {
    this.displayed = { source, view: this.looked.at(-1) };
  }
}

const original = globalThis.XRWebGLLayer;
beforeEach(() => {
  globalThis.XRWebGLLayer = class {
    framebuffer = null;
    getViewport = ({ eye }) => ({ x: eye === "left" ? 0 : 100, y: 0, width: 100, height: 100 });
  };
});
afterEach(() => {
  globalThis.XRWebGLLayer = original;
});

function wearing({ supported = true, gl = true, refused = false } = {}) {
  const drawn = [];
  const messages = [];
  const eyes = [new FakeEye(), new FakeEye()];
  const session = new FakeSession();
  const xr = Object.assign(new EventTarget(), {
    isSessionSupported: async () => supported,
    requestSession: async () => {
      if (refused) throw new Error("not now");
      return session;
    },
  });
  const head = new HeadWindow();
  head.setHome([0, 0.03, 0.7], 0.4);
  const button = new FakeElement();
  const page = { createElement: () => ({ getContext: () => (gl ? fakeGl(drawn) : null) }) };
  const showMessage = (message) => messages.push(message);
  const headset = new Headset(page, xr, { button, head, openEyes: () => eyes, showMessage });
  return { headset, button, session, eyes, drawn, messages };
}

test("the headset button is shown only if a headset is available", async () => {
  for (const supported of [true, false]) {
    const { headset, button } = wearing({ supported });
    await headset.detect();
    assert.equal(button.hidden, !supported);
  }
  const button = new FakeElement();
  await new Headset({}, undefined, { button }).detect();
  assert.equal(button.hidden, true);
});

test("each eye sends its own view, and is shown the frames rendered for it", async () => {
  const { headset, session, eyes, drawn } = wearing();
  await headset.toggle();
  session.frame(0.1);
  const places = eyes.map(({ looked }) => looked[0].pose.position.map(rounded));
  assert.deepEqual(places, [
    [0.0685, 0.03, 0.7],
    [0.1315, 0.03, 0.7],
  ]);
  assert.deepEqual(drawn, [], "nothing was displayed yet");
  eyes[0].show("left frame");
  session.frame(0.1);
  assert.deepEqual(
    drawn.map(({ x, source }) => [x, source]),
    [
      [0, "left frame"],
      [100, "left frame"],
    ],
    "the right eye has no frames yet",
  );
  eyes[1].show("right frame");
  drawn.length = 0;
  session.frame(0.1);
  assert.deepEqual(
    drawn.map(({ x, source }) => [x, source]),
    [
      [0, "left frame"],
      [100, "right frame"],
    ],
  );
  // The window is at the avatar: at the height of the eyes, 0.7 m in front of the start.
  const [, , , , , , , , , , , , ...middle] = drawn[0].place;
  assert.deepEqual(middle.map(rounded), [0, 0, -0.7, 1]);
  assert.equal(headset.stats.frames, 3);
});

test("ending the XR session closes both eyes' sessions, and another one can start", async () => {
  const { headset, button, session, eyes } = wearing();
  await headset.toggle();
  assert.equal(button.getAttribute("aria-pressed"), "true");
  await session.end(); // by the button of the headset
  assert.deepEqual([eyes[0].closed, eyes[1].closed], [1, 1]);
  assert.equal(button.getAttribute("aria-pressed"), "false");
  assert.equal(headset.stats, null);
  await headset.toggle();
  await headset.toggle();
  assert.equal(session.ended, 2);
});

test("an XR session that ends before the first frame opens no session for the eyes", async () => {
  const { headset, session, eyes } = wearing();
  session.requestReferenceSpace = async () => void (await session.end());
  await headset.toggle();
  assert.equal(headset.stats, null);
  assert.equal(session.next, null);
  assert.deepEqual([eyes[0].looked, eyes[0].closed], [[], 0]);
});

test("a failed start is reported, and closes everything", async () => {
  const refused = wearing({ refused: true });
  await refused.headset.toggle();
  assert.deepEqual(refused.messages, ["The headset did not start: not now"]);
  const dark = wearing({ gl: false });
  await dark.headset.toggle();
  await settled();
  assert.deepEqual(dark.messages, ["The headset did not start: this browser has no WebGL"]);
  assert.equal(dark.session.ended, 1);
});

test("matrices are multiplied in column-major order, as in WebGL", () => {
  const moved = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 5, 6, 7, 1];
  const scaled = [2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 4, 0, 0, 0, 0, 1];
  assert.deepEqual(product(moved, scaled), [2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 4, 0, 5, 6, 7, 1]);
  assert.deepEqual(product(scaled, moved).slice(12), [10, 18, 28, 1]);
});

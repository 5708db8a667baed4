// Fakes of the parts of the page and its timers that the client's modules use.

/** An element. Children are created by the first query for them. */
export class FakeElement extends EventTarget {
  textContent = "";
  value = "";
  hidden = false;
  inert = false;
  checked = false;
  disabled = false;
  focused = 0;
  offsetParent = null;
  dataset = {};
  attributes = new Map();
  classes = new Set();
  children = [];
  #parts = new Map();
  style = { setProperty: (name, value) => this.attributes.set(name, value) };
  classList = {
    add: (name) => this.classes.add(name),
    remove: (name) => this.classes.delete(name),
    contains: (name) => this.classes.has(name),
    toggle: (name, on) => (on ? this.classes.add(name) : this.classes.delete(name)),
  };

  constructor(ownerDocument = null) {
    super();
    this.ownerDocument = ownerDocument;
  }

  querySelector(selector) {
    if (!this.#parts.has(selector)) this.#parts.set(selector, new FakeElement(this.ownerDocument));
    return this.#parts.get(selector);
  }

  querySelectorAll(selector) {
    return [this.querySelector(selector)];
  }

  getAttribute(name) {
    return this.attributes.get(name) ?? null;
  }

  setAttribute(name, value) {
    this.attributes.set(name, value);
  }

  toggleAttribute(name, on) {
    this[name] = on;
  }

  append(...children) {
    this.children.push(...children);
  }

  replaceChildren(...children) {
    this.children = children;
  }

  getContext() {
    return null;
  }

  focus() {
    this.focused += 1;
  }

  click() {
    this.dispatchEvent(new Event("click"));
  }
}

/** A document whose elements are created by the first query for them. */
export class FakeDocument extends FakeElement {
  body = new FakeElement(this);
  documentElement = new FakeElement(this);
  activeElement = null;

  constructor() {
    super();
    this.ownerDocument = this;
  }

  createElement() {
    return new FakeElement(this);
  }

  createElementNS() {
    return new FakeElement(this);
  }
}

/** A video of 320 x 320 pixels whose frames the test displays. */
export class FakeVideo extends FakeElement {
  srcObject = null;
  videoWidth = 320;
  videoHeight = 320;
  readyState = 0;
  callback = null;
  play = async () => {};
  requestVideoFrameCallback(callback) {
    this.callback = callback;
  }
  /** Display a frame. */
  show(rtpTimestamp) {
    this.callback(0, { rtpTimestamp, presentedFrames: 1, expectedDisplayTime: 5 });
  }
}

/** A WebGL context whose functions do nothing, except those given. */
export const fakeGl = (functions) =>
  new Proxy(functions, { get: (target, name) => target[name] ?? (() => ({})) });

/** A clock and animation frames that the test advances. */
export class FakeTimers {
  now_ms = 1000;
  #frames = [];
  #timers = new Map();
  #next = 1;
  now = () => this.now_ms;
  requestFrame = (callback) => void this.#frames.push(callback);
  clearTimer = (timer) => void this.#timers.delete(timer);
  setTimer = (callback, delay_ms) => {
    this.#timers.set(this.#next, { callback, at_ms: this.now_ms + delay_ms });
    return this.#next++;
  };

  /** @returns {number} animation frames that were requested */
  get requested() {
    return this.#frames.length;
  }

  /** Advance to the next animation frame. */
  frame(dt_ms = 16) {
    this.now_ms += dt_ms;
    for (const [id, { callback, at_ms }] of this.#timers) {
      if (at_ms > this.now_ms) continue;
      this.#timers.delete(id);
      callback();
    }
    for (const callback of this.#frames.splice(0)) callback(this.now_ms);
  }
}

/** Wait until all pending promises have settled. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

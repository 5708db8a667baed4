import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { CallTable } from "../../../client_web/js/app/call_table.js";
import { FakeDocument, FakeElement, FakeTimers } from "../fakes.js";
import { near, turned } from "../tracking/faces.js";

const HOST = new URL("https://server.test/");
const OWN = { seat: 0, seats: 4, host: HOST };
const PIXEL_M = 0.0254 / 96;
const DISTANCE_M = 0.65; // of the eyes, before they were measured
const SETTLED_MS = 200;

const person = (seat, name) => ({
  ...{ seat, name, stream: `team:${name}`, present: true, muted: false },
  directions: [],
});
const SELF = person(0, "self");
const [ADA, BEN, EVE] = [person(1, "ada"), person(2, "ben"), person(3, "eve")];

let resized;
beforeEach(() => {
  globalThis.ResizeObserver = class {
    constructor(callback) {
      resized = callback;
    }
    observe() {}
    disconnect() {}
  };
  mock.timers.enable({ apis: ["setTimeout"] });
});
afterEach(() => {
  mock.timers.reset();
  delete globalThis.ResizeObserver;
});

/** A tile that records what it is told; it is 400 pixels wide, beside the one before. */
class FakeTile {
  blocked = false;
  calls = [];
  left = 0;

  constructor(stream, onBlocked) {
    this.stream = stream;
    this.onBlocked = onBlocked;
    this.panel = { element: new FakeElement() };
    this.panel.element.getBoundingClientRect = () => {
      return { left: this.left, top: 0, width: 400, height: 600 };
    };
    for (const name of ["show", "start", "calibrate", "follow", "release", "unblock", "close"]) {
      this[name] = (...values) => this.calls.push([name, ...values]);
    }
  }

  called(name) {
    return this.calls.filter(([called]) => called === name);
  }
}

/** A table on a screen of 800 x 600 pixels. */
function table() {
  const page = new FakeDocument();
  Object.assign(page.documentElement, { clientWidth: 800, clientHeight: 600 });
  const element = new FakeElement(page);
  const inserted = [];
  element.insertBefore = (child, before) => {
    inserted.push(child);
    element.children = element.children.filter((other) => other !== child);
    const at = before ? element.children.indexOf(before) : element.children.length;
    element.children.splice(at, 0, child);
  };
  const reported = [];
  const blocked = [];
  const tiles = new Map();
  const shown = new CallTable(page, {
    ...{ element, timers: new FakeTimers() },
    onDirections: (directions) => reported.push(directions),
    onBlocked: (waits) => blocked.push(waits),
    createTile: (_page, _host, { name, stream }, _timers, onBlocked) => {
      const tile = new FakeTile(stream, onBlocked);
      tile.close = () => {
        tile.calls.push(["close"]);
        element.children = element.children.filter((child) => child !== tile.panel.element);
      };
      tiles.set(name, tile);
      return tile;
    },
  });
  const order = () =>
    element.children.map((child) => [...tiles].find(([, tile]) => tile.panel.element === child)[0]);
  return { shown, element, tiles, inserted, reported, blocked, order };
}

test("each other person gets a tile, in their order around the table", () => {
  const { shown, element, tiles, order } = table();
  shown.show([SELF, EVE, ADA, BEN], OWN);
  assert.deepEqual(
    order(),
    shown.others.map(({ name }) => name),
  );
  assert.equal(element.dataset.others, "3");
  for (const tile of tiles.values()) {
    assert.deepEqual([tile.called("start").length, tile.called("show").length], [1, 1]);
  }
});

test("tiles that stay in place are not moved, because their videos would pause", () => {
  const { shown, tiles, inserted } = table();
  shown.show([SELF, ADA, BEN], OWN);
  const before = inserted.length;
  shown.show([SELF, { ...ADA, muted: true }, BEN], OWN);
  assert.equal(inserted.length, before);
  assert.equal(tiles.get("ada").called("show").at(-1)[1].muted, true);
  assert.equal(tiles.get("ada").called("start").length, 1, "the session goes on");
});

test("the tile of a person who left is closed", () => {
  const { shown, element, tiles, order } = table();
  shown.show([SELF, ADA, BEN], OWN);
  shown.show([SELF, BEN], OWN);
  assert.equal(tiles.get("ada").called("close").length, 1);
  assert.deepEqual([order(), element.dataset.others], [["ben"], "1"]);
  assert.equal(shown.tile(1), null);
  assert.equal(shown.tile(2), tiles.get("ben"));
});

test("directions are reported once the layout has settled, from the middle of the screen", () => {
  const { shown, tiles, reported } = table();
  shown.show([SELF, ADA], OWN);
  tiles.get("ada").left = 400;
  resized();
  mock.timers.tick(SETTLED_MS - 1);
  assert.deepEqual(reported, []);
  mock.timers.tick(1);
  const [[{ seat, yaw_rad, pitch_rad }]] = reported;
  assert.equal(seat, 1);
  near([yaw_rad, pitch_rad], [-Math.atan((200 * PIXEL_M) / DISTANCE_M), 0]); // to the right
});

test("a change of a direction that nobody sees is not reported", () => {
  const { shown, tiles, reported } = table();
  shown.show([SELF, ADA], OWN);
  mock.timers.tick(SETTLED_MS);
  for (const [left, count] of [
    [3, 1],
    [40, 2],
  ]) {
    tiles.get("ada").left = left;
    resized();
    mock.timers.tick(SETTLED_MS);
    assert.equal(reported.length, count, `moved by ${left} pixels`);
  }
});

test("calibrating takes the place of the eyes as straight ahead, at their distance", () => {
  const { shown, tiles, reported } = table();
  shown.show([SELF, ADA], OWN);
  shown.calibrate();
  assert.equal(tiles.get("ada").called("calibrate").length, 1, "the eyes are not known yet");
  shown.tracked({ face: { matrix: turned({ at_cm: [5, 0, -103] }) }, capturedAt_ms: 10 });
  tiles.get("ada").left = 400;
  shown.calibrate();
  const [, { straight }] = tiles.get("ada").called("calibrate").at(-1);
  near(straight, [-0.05, 0.026]);
  mock.timers.tick(SETTLED_MS);
  // The eyes are 3 cm nearer than the face's origin: 1 m.
  near([reported.at(-1)[0].yaw_rad], [-Math.atan(200 * PIXEL_M)]);
});

test("views follow the eyes while that is switched on and a face is found", () => {
  const { shown, tiles } = table();
  shown.show([SELF, ADA], OWN);
  const found = { face: { matrix: turned({}) }, capturedAt_ms: 10 };
  shown.tracked({ face: null, capturedAt_ms: 9 });
  shown.tracked(found);
  shown.followEyes(false);
  shown.tracked(found);
  const ada = tiles.get("ada");
  assert.deepEqual(
    ada.called("follow").map(([, , at_ms]) => at_ms),
    [10],
  );
  assert.equal(ada.called("release").length, 1);
});

test("one voice that the browser holds back is enough to ask for a click", () => {
  const { shown, tiles, blocked } = table();
  shown.show([SELF, ADA, BEN], OWN);
  const [ada, ben] = [tiles.get("ada"), tiles.get("ben")];
  ben.blocked = true;
  ada.onBlocked();
  ben.blocked = false;
  ben.onBlocked();
  assert.deepEqual(blocked, [true, false]);
  shown.unblock();
  assert.deepEqual(
    [ada, ben].map((tile) => tile.called("unblock").length),
    [1, 1],
  );
});

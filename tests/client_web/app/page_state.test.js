import assert from "node:assert/strict";
import { test } from "node:test";

import { PageState } from "../../../client_web/js/app/page_state.js";
import { Trouble } from "../../../client_web/js/connection/trouble.js";
import { FakeElement } from "../fakes.js";

function observed() {
  const calls = [];
  const view = {
    body: new FakeElement(),
    draining: new FakeElement(),
    notice: { show: ({ state }, trouble) => calls.push(`notice ${state} ${trouble?.kind ?? "-"}`) },
    signIn: { show: (visible) => calls.push(`sign-in ${visible}`) },
  };
  const state = new PageState(view, {
    onConnecting: () => calls.push("connecting"),
    onLeavingLive: () => calls.push("leaving live"),
  });
  return { state, view, calls };
}

const waiting = (kind) => ({ state: "waiting", trouble: new Trouble(kind), until_ms: null });

test("the body has the state, and connecting starts loading", () => {
  const { state, view, calls } = observed();
  state.enter({ state: "connecting" });
  assert.equal(view.body.dataset.state, "connecting");
  assert.deepEqual(calls, ["connecting", "notice connecting -", "sign-in false"]);
  state.enter({ state: "live" });
  assert.equal(view.body.dataset.state, "live");
  assert.equal(state.live, true);
});

test("leaving the live state is reported once, before anything else", () => {
  const { state, calls } = observed();
  state.enter({ state: "live" });
  state.enter({ state: "live" });
  assert.ok(!calls.includes("leaving live"));
  calls.length = 0;
  state.enter(waiting("lost"));
  state.enter({ state: "connecting" });
  assert.equal(calls[0], "leaving live");
  assert.equal(calls.filter((call) => call === "leaving live").length, 1);
});

test("a trouble is shown during retries, until the page is live or queued", () => {
  const { state } = observed();
  state.enter(waiting("unreachable"));
  state.enter({ state: "connecting" });
  assert.equal(state.trouble.kind, "unreachable");
  state.enter({ state: "queued", queue: { place: 1 } });
  assert.equal(state.trouble, null);
  state.enter(waiting("lost"));
  state.enter({ state: "live" });
  assert.equal(state.trouble, null);
});

test("a missing token opens the sign-in form", () => {
  const { state, calls } = observed();
  state.enter(waiting("sign-in"));
  assert.equal(calls.at(-1), "sign-in true");
  state.enter({ state: "live" });
  assert.equal(calls.at(-1), "sign-in false");
});

test("a draining server is announced once, until the session ends", () => {
  const { state, view } = observed();
  state.enter({ state: "live" });
  state.serverDrains();
  assert.match(view.draining.textContent, /shutting down/);
  let changes = 0;
  Object.defineProperty(view.draining, "textContent", { set: () => changes++ });
  state.serverDrains();
  assert.equal(changes, 0);
  state.enter({ state: "connecting" });
  assert.equal(changes, 1);
  assert.equal(state.draining, false);
});

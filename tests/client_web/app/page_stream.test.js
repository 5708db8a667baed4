// What the address of the page asks for, and the sign-in form that gives it a token.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { openStream } from "../../../client_web/js/app/page_stream.js";
import { stateView } from "../../../client_web/js/app/state_view.js";
import { access } from "../../../client_web/js/connection/access.js";
import { FakeDocument } from "../fakes.js";

afterEach(() => {
  delete globalThis.location;
  delete globalThis.history;
  access.use("");
});

/** The stream of a page with an address, and the address that its bar shows. */
async function opened(address) {
  const url = new URL(address);
  let bar = address;
  globalThis.location = url;
  globalThis.history = {
    state: null,
    replaceState: (_state, _title, path) => {
      bar = path;
    },
  };
  return { ...(await openStream(new FakeDocument())), bar };
}

test("without a stream in its address the page shows the demo", async () => {
  for (const query of ["", "?stream="]) {
    const { stream, endpoint, background, publishing } = await opened(
      `https://h.test/face/${query}`,
    );
    assert.equal(stream, "demo");
    assert.equal(endpoint.href, "https://h.test/face/v1/streams/demo/whep");
    assert.deepEqual([background, publishing], [null, null]);
  }
});

test("the stream, the background and the file name of the page are read from its address", async () => {
  const { stream, base, endpoint, background } = await opened(
    "https://h.test/face/index.html?stream=a/b&background=00b140",
  );
  assert.equal(stream, "a/b");
  assert.equal(base.href, "https://h.test/face/");
  assert.equal(endpoint.href, "https://h.test/face/v1/streams/a%2Fb/whep");
  assert.equal(background, "00b140");
});

test("a token is taken out of the address bar", async () => {
  const { bar } = await opened("https://h.test/?stream=me#token=secret");
  assert.equal(bar, "/?stream=me");
});

test("a token that is entered is used for the next attempt", () => {
  const page = new FakeDocument();
  const calls = [];
  const used = access.use;
  access.use = (token) => calls.push(token);
  try {
    stateView(page, { stream: "me", host: "h.test" }, () => calls.push("retry"));
    const form = page.querySelector("#sign-in");
    form.querySelector("input").value = "secret";
    form.dispatchEvent(new Event("submit", { cancelable: true }));
    assert.deepEqual(calls, ["secret", "retry"]);
    assert.equal(form.querySelector("input").value, "", "it does not stay on the page");
  } finally {
    access.use = used;
  }
});

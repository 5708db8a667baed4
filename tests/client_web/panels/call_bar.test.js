import assert from "node:assert/strict";
import { test } from "node:test";

import { CallBar } from "../../../client_web/js/panels/call_bar.js";
import { FakeDocument } from "../fakes.js";

function callBar() {
  const page = new FakeDocument();
  page.location = { href: "https://h.test/face/?call=team#token=secret" };
  const calls = [];
  const names = ["leave", "calibrate", "followEyes", "unblock", "useCamera"];
  const actions = Object.fromEntries(
    names.map((name) => [name, (...a) => calls.push([name, ...a])]),
  );
  const bar = new CallBar(page, actions);
  const settings = page.querySelector("#settings");
  settings.hidden = true;
  const button = page.querySelector("[data-settings-button]");
  return { bar, page, calls, settings, button, first: settings.querySelector("select") };
}

const escapeKey = () => Object.assign(new Event("keydown"), { key: "Escape" });

test("the settings take the focus when they open, and Escape gives it back", () => {
  const { page, settings, button, first } = callBar();
  button.click();
  assert.deepEqual([settings.hidden, button.getAttribute("aria-expanded")], [false, "true"]);
  assert.equal(first.focused, 1);
  page.dispatchEvent(escapeKey());
  assert.deepEqual([settings.hidden, button.getAttribute("aria-expanded")], [true, "false"]);
  assert.equal(button.focused, 1);
});

test("the button closes the settings again, and Escape alone does nothing", () => {
  const { page, settings, button, first } = callBar();
  page.dispatchEvent(escapeKey());
  assert.equal(button.focused, 0);
  button.click();
  button.click();
  assert.equal(settings.hidden, true);
  assert.equal(first.focused, 1);
});

test("who is alone gets the link to share, without a token", () => {
  const { bar, page } = callBar();
  bar.showPeople("team", []);
  assert.equal(page.querySelector("#alone").hidden, false);
  assert.equal(page.querySelector("[data-link]").value, "https://h.test/face/?call=team");
  assert.equal(page.querySelector("[data-others]").textContent, "You are alone here.");
  bar.showPeople("team", [{ name: "Ada" }]);
  assert.equal(page.querySelector("#alone").hidden, true);
  assert.equal(page.querySelector("[data-others]").textContent, "Ada is here.");
});

test("buttons and switches run their actions", () => {
  const { page, calls } = callBar();
  for (const name of ["[data-leave]", "[data-calibrate]"]) page.querySelector(name).click();
  page.querySelector("#unmute button").click();
  page.querySelector("[data-eyes]").dispatchEvent(new Event("change"));
  const cameras = page.querySelector("select[name=camera]");
  cameras.value = "front";
  cameras.dispatchEvent(new Event("change"));
  assert.deepEqual(
    calls.map(([name]) => name),
    ["leave", "calibrate", "unblock", "followEyes", "useCamera"],
  );
  assert.deepEqual([calls[3][1], calls[4][1]], [false, "front"]);
});

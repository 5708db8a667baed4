// The forms before one goes live, joins a call or is recorded.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { CallLobby } from "../../../client_web/js/panels/call_lobby.js";
import { PublishPanel } from "../../../client_web/js/panels/publish_panel.js";
import { FakeDocument, FakeElement } from "../fakes.js";

const real = globalThis.FormData;
/** Entered texts by field. */ let entered;
beforeEach(() => {
  entered = {};
  globalThis.FormData = class {
    get = (name) => entered[name] ?? null;
  };
});
afterEach(() => {
  globalThis.FormData = real;
});

const submitted = (element) => {
  const event = new Event("submit", { cancelable: true });
  element.querySelector("[data-setup]").dispatchEvent(event);
  return event;
};

function publishPanel() {
  const page = new FakeDocument();
  const element = new FakeElement(page);
  element.prepend = () => {};
  const camera = element.querySelector(".camera");
  Object.assign(camera, { prepend: () => {}, ownerDocument: page });
  const calls = [];
  const names = ["go", "avatarChosen", "stop", "calibrate", "mirror", "showMesh", "useCamera"];
  const actions = Object.fromEntries(
    names.map((name) => [name, (...a) => calls.push([name, ...a])]),
  );
  return { panel: new PublishPanel(element, actions), element, calls };
}

test("what was entered is trimmed, and the page is not left", () => {
  const { element, calls } = publishPanel();
  Object.assign(entered, { stream: " me ", avatar: "default" });
  assert.equal(submitted(element).defaultPrevented, true);
  assert.deepEqual(calls, [["go", { stream: "me", avatar: "default", token: "" }]]);
});

test("the panel opens with the last choices, and the name to type over", () => {
  const { panel, element } = publishPanel();
  panel.open({ stream: "ada", mirrored: false, mesh: true });
  const form = element.querySelector("[data-setup]");
  const name = form.querySelector('input[name="stream"]');
  assert.deepEqual([name.value, name.focused], ["ada", 1]);
  assert.equal(element.querySelector("[data-mirror]").checked, false);
  assert.equal(element.querySelector("[data-mesh]").checked, true);
});

test("a token is asked for only when it is needed, and then has the focus", () => {
  const { panel, element } = publishPanel();
  const form = element.querySelector("[data-setup]");
  panel.askForToken();
  assert.equal(form.querySelector("[data-token]").hidden, false);
  assert.equal(form.querySelector('input[name="token"]').focused, 1);
});

test("the button says what is happening, and what a second press would do", () => {
  const { panel, element } = publishPanel();
  const button = element.querySelector("[data-go]");
  panel.busy = true;
  assert.deepEqual([button.disabled, button.textContent], [true, "Starting…"]);
  panel.busy = false;
  panel.showMessage({ title: "It is taken", detail: "", action: "Take over" });
  assert.deepEqual([button.disabled, button.textContent], [false, "Take over"]);
  panel.showMessage(null);
  assert.equal(button.textContent, "Go live");
});

test("while live the form gives way to the measurements", () => {
  const { panel, element } = publishPanel();
  const hidden = () =>
    ["[data-setup]", "[data-live]", "[data-live-footer]"].map(
      (part) => element.querySelector(part).hidden,
    );
  panel.live = true;
  assert.deepEqual(hidden(), [true, false, false]);
  assert.equal(element.querySelector("h2").textContent, "You are live");
  panel.live = false;
  assert.deepEqual(hidden(), [false, true, true]);
});

test("cameras are offered where there is a choice, and a nameless one gets a number", () => {
  const { panel, element } = publishPanel();
  panel.showCameras([{ deviceId: "a", label: "Front" }], "a");
  assert.equal(element.querySelector("[data-cameras]").hidden, true);
  panel.showCameras(
    [
      { deviceId: "a", label: "Front" },
      { deviceId: "b", label: "" },
    ],
    "b",
  );
  assert.equal(element.querySelector("[data-cameras]").hidden, false);
  const options = element.querySelector("select[name=camera]").children;
  assert.deepEqual(
    options.map(({ value, textContent, selected }) => [value, textContent, selected]),
    [
      ["a", "Front", false],
      ["b", "Camera 2", true],
    ],
  );
});

test("letters in a text field are no keys of the page, those on a switch are", () => {
  const { element } = publishPanel();
  for (const [isText, stays] of [
    [true, true],
    [false, false],
  ]) {
    const event = new Event("keydown");
    let stopped = false;
    event.stopPropagation = () => {
      stopped = true;
    };
    Object.defineProperty(event, "target", { value: { matches: () => isText } });
    element.dispatchEvent(event);
    assert.equal(stopped, stays);
  }
});

function lobby() {
  const element = new FakeElement(new FakeDocument());
  const joined = [];
  const shown = new CallLobby(element, {
    join: (choice) => joined.push(choice),
    avatarChosen() {},
  });
  const form = element.querySelector("[data-setup]");
  const field = (name) => form.querySelector(`input[name="${name}"]`);
  return { shown, element, field, joined };
}

test("a lobby asks for the call only if its address names none", () => {
  for (const [call, hidden, focused] of [
    ["team", true, "name"],
    ["", false, "call"],
  ]) {
    const { shown, element, field } = lobby();
    shown.open({ call, name: "Ada" });
    assert.equal(element.querySelector("[data-call]").hidden, hidden);
    assert.equal(field("name").value, "Ada");
    assert.equal(field(focused).focused, 1);
  }
});

test("joining passes on what was entered", () => {
  const { element, joined } = lobby();
  Object.assign(entered, { call: "team", name: "Ada ", avatar: "default", token: "secret" });
  submitted(element);
  assert.deepEqual(joined, [{ call: "team", name: "Ada", avatar: "default", token: "secret" }]);
});

test("a lobby names who is there, and says nothing where that is not known", () => {
  const { shown, element } = lobby();
  const people = element.querySelector("[data-people]");
  shown.showPeople([]);
  assert.equal(people.textContent, "Nobody is here yet.");
  shown.showPeople([{ name: "Ada" }, { name: "Ben" }]);
  assert.equal(people.textContent, "Ada and Ben are here.");
  shown.showPeople(null);
  assert.equal(people.textContent, "");
});

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { OwnCamera } from "../../../client_web/js/app/own_camera.js";
import { FakeVideo } from "../fakes.js";

const navigator = Object.getOwnPropertyDescriptor(globalThis, "navigator");
const CAMERAS = [{ kind: "videoinput", deviceId: "front", label: "Front" }];

let asked;
let tracks;
/** What the browser does when a camera is requested. */ let answer;
beforeEach(() => {
  asked = [];
  tracks = [];
  answer = () => {};
  const mediaDevices = {
    getUserMedia: async ({ video }) => {
      const id = video.deviceId?.exact;
      asked.push(id);
      answer(id);
      const track = { stopped: false, getSettings: () => ({ deviceId: id ?? "front" }) };
      track.stop = () => {
        track.stopped = true;
      };
      tracks.push(track);
      return { getTracks: () => [track], getVideoTracks: () => [track] };
    },
    enumerateDevices: async () => CAMERAS,
  };
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices }, configurable: true });
});
afterEach(() => {
  if (navigator) Object.defineProperty(globalThis, "navigator", navigator);
  else delete globalThis.navigator;
});

/** One's own camera, and what its panel shows. */
function ownCamera({ start = async () => {} } = {}) {
  const said = [];
  const shown = [];
  const preview = {
    video: new FakeVideo(),
    showOff: (text) => said.push(text),
    show: async () => {},
  };
  const panel = {
    preview,
    showCameras: (...cameras) => shown.push(cameras),
    showMessage: ({ title }) => said.push(title),
  };
  const tracker = { start, connections: "lines" };
  return { camera: new OwnCamera(panel, tracker), preview, said, shown };
}

test("a camera is shown, tracked and offered with the others", async () => {
  const { camera, preview, said, shown } = ownCamera();
  await camera.open("front");
  assert.deepEqual(asked, ["front"]);
  assert.deepEqual(said, ["Waiting for your camera…"]);
  assert.equal(preview.connections, "lines");
  assert.deepEqual(shown, [[CAMERAS, "front"]]);
});

test("a remembered camera that is not connected is replaced by the default", async () => {
  answer = (id) => {
    if (id === "gone") throw new DOMException("", "OverconstrainedError");
  };
  const { camera } = ownCamera();
  await camera.open("gone");
  assert.deepEqual(asked, ["gone", undefined]);
});

test("a camera that the user denied is not requested again", async () => {
  answer = () => {
    throw new DOMException("", "NotAllowedError");
  };
  const { camera, said } = ownCamera();
  await assert.rejects(camera.open("front"), { name: "NotAllowedError" });
  assert.deepEqual(asked, ["front"]);
  assert.equal(said.at(-1), "Your camera is off");
});

test("without a tracker the camera is closed again", async () => {
  const { camera, said } = ownCamera({
    start: async () => {
      throw new Error("no WebGL");
    },
  });
  await assert.rejects(camera.open(), { message: "no WebGL" });
  assert.equal(tracks[0].stopped, true);
  assert.equal(said.at(-1), "Your camera is off");
});

test("another camera closes the one before", async () => {
  const { camera } = ownCamera();
  await camera.open();
  await camera.open("front");
  assert.deepEqual(
    tracks.map(({ stopped }) => stopped),
    [true, false],
  );
  camera.close();
  assert.equal(tracks[1].stopped, true);
});

test("a camera that is unplugged is reported", async () => {
  const { camera, said } = ownCamera();
  await camera.open();
  tracks[0].onended();
  assert.match(said.at(-1), /camera/i);
  assert.equal(said.length, 2);
});

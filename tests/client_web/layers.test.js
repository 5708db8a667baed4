// The order of the client's folders: a module imports only from its own folder and from those below.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../client_web/js/", import.meta.url);

// From low to high; `main.js` and `call.js` are above all of them.
const ORDER = [
  "connection",
  "timing",
  "voice",
  "reprojection",
  "tracking",
  "input",
  "panels",
  "app",
  "main.js",
  "call.js",
];

// Also types in JSDoc comments, imports for their effect, and the modules that workers start with.
const IMPORT = /(?:\bfrom |\bimport |\bimport\(|\bimportScripts\(|\bnew URL\()"(\.[^"]+\.js)"/g;

const MAIN_LINES = 100; // more, and the entry does work of its own beside connecting the parts

/**
 * What may name RTP timestamps of frames besides the journal, the one place that finds a frame's record
 * by them. `heard_voice.js` has those of the voice, another clock.
 */
const NAMES_RTP_TIMESTAMPS = {
  "app/image_display.js": "numbers JPEG images instead",
  "connection/jpeg_session.js": "numbers JPEG images instead",
  "connection/messages.js": "types and checks of events",
  "timing/frame_journal.js": "finds the record",
  "timing/frame_log.js": "a column of the table",
  "timing/telemetry.js": "passes it on",
  "voice/heard_voice.js": "of the voice",
};

/** The text of all modules, by path below `ROOT`. */
function readModules() {
  const files = readdirSync(ROOT, { recursive: true }).filter((file) => file.endsWith(".js"));
  return new Map(files.map((file) => [file, readFileSync(new URL(file, ROOT), "utf8")]));
}

/** All modules with the modules they import. */
function importsOf(modules) {
  const imported = (file, text) =>
    [...text.matchAll(IMPORT)].map(([, path]) =>
      new URL(path, new URL(file, ROOT)).href.slice(ROOT.href.length),
    );
  return new Map([...modules].map(([file, text]) => [file, new Set(imported(file, text))]));
}

/** The modules that some entries import, directly or through others, with the entries. */
function reachableFrom(entries, imports) {
  const reached = new Set(entries);
  for (const file of reached) for (const next of imports.get(file) ?? []) reached.add(next);
  return reached;
}

const folderOf = (file) => file.split("/")[0];

/** @returns {string[] | null} modules that import each other in a cycle */
function findCircle(imports) {
  const done = new Set();
  const visit = (file, path) => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const next of imports.get(file) ?? []) {
      const circle = visit(next, [...path, file]);
      if (circle) return circle;
    }
    done.add(file);
    return null;
  };
  for (const file of imports.keys()) {
    const circle = visit(file, []);
    if (circle) return circle;
  }
  return null;
}

const modules = readModules();
const imports = importsOf(modules);

test("folders import only from folders below", (t) => {
  const graph = new Map(ORDER.map((folder) => [folder, new Set()]));
  for (const [file, imported] of imports) {
    const from = folderOf(file);
    assert.ok(ORDER.includes(from), `expected a folder of ${ORDER.join(", ")}, got ${file}`);
    for (const other of imported) {
      const to = folderOf(other);
      if (to !== from) graph.get(from).add(to);
      assert.ok(ORDER.indexOf(to) <= ORDER.indexOf(from), `${file} imports ${other}, upwards`);
    }
  }
  for (const [folder, below] of graph) {
    t.diagnostic(
      `${folder} -> ${ORDER.filter((other) => below.has(other)).join(", ") || "nothing"}`,
    );
  }
});

test("every imported module exists", () => {
  for (const [file, imported] of imports) {
    for (const other of imported) assert.ok(imports.has(other), `${file} imports ${other}`);
  }
});

test("there are no import cycles", () => {
  assert.equal(findCircle(imports)?.join(" -> ") ?? null, null);
});

test("an import cycle is found", () => {
  const circular = new Map([
    ["a", new Set(["b"])],
    ["b", new Set(["c"])],
    ["c", new Set(["b"])],
  ]);
  assert.deepEqual(findCircle(circular), ["b", "c", "b"]);
});

test("the modules of workers and imports for their effect are read too", () => {
  assert.ok(imports.get("tracking/detectors.js").has("tracking/module_worker.js"));
  assert.ok(imports.get("tracking/module_worker.js").has("tracking/landmarks.js"));
});

test("every module is used by a page", () => {
  const used = reachableFrom(["main.js", "call.js"], imports);
  assert.deepEqual(
    [...modules.keys()].filter((file) => !used.has(file)),
    [],
  );
});

test("the entry of the viewer only connects its parts", () => {
  const lines = modules.get("main.js").trimEnd().split("\n").length;
  assert.ok(lines < MAIN_LINES, `expected main.js below ${MAIN_LINES} lines, got ${lines}`);
});

test("frames are found by their RTP timestamps in the journal alone", () => {
  const naming = [...modules].filter(([, text]) => /rtp_?timestamp/i.test(text));
  assert.deepEqual(naming.map(([file]) => file).sort(), Object.keys(NAMES_RTP_TIMESTAMPS).sort());
});

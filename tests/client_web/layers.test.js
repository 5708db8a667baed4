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

const IMPORT = /(?:\bfrom |\bimport\()"(\.[^"]+)"/g; // types in JSDoc comments too

/** All modules with the modules they import, by path below `ROOT`. */
function readImports() {
  const files = readdirSync(ROOT, { recursive: true }).filter((file) => file.endsWith(".js"));
  return new Map(
    files.map((file) => {
      const address = new URL(file, ROOT);
      const text = readFileSync(address, "utf8");
      const imported = [...text.matchAll(IMPORT)].map(([, path]) =>
        new URL(path, address).href.slice(ROOT.href.length),
      );
      return [file, new Set(imported)];
    }),
  );
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

const imports = readImports();

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

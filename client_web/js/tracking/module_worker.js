// The tracker in a module worker. Its response has a policy of its own that allows WebAssembly.

import "./landmarks.js";

/** @type {any} */ (globalThis).telewarpLandmarks.serve(
  globalThis,
  (/** @type {string} */ folder) => import(`${folder}/vision_bundle.mjs`),
  true,
);

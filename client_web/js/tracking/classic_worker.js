// The tracker in a classic worker, for browsers whose workers load no modules.

{
  const scope = /** @type {any} */ (globalThis);
  scope.importScripts("landmarks.js");
  scope.telewarpLandmarks.serve(
    scope,
    async (/** @type {string} */ folder) => {
      scope.exports = {}; // the bundle is a CommonJS module
      scope.importScripts(`${folder}/vision_bundle.cjs`);
      return scope.exports;
    },
    false,
  );
}

// Runs MediaPipe's Face Landmarker. Shared by both workers and by the page itself, so it is a plain
// script: a classic worker can load no module. It defines `globalThis.telewarpLandmarks`.

{
  const MODEL = "face_landmarker.task";
  const OVERLAY = ["TESSELATION", "CONTOURS", "LEFT_IRIS", "RIGHT_IRIS"];

  /**
   * MediaPipe reads images with WebGL 2, but reports a missing one only at the first image. Workers may
   * have none where the page has it.
   */
  const requireWebGl = () => {
    const canvas =
      typeof OffscreenCanvas === "function"
        ? new OffscreenCanvas(1, 1)
        : globalThis.document?.createElement("canvas");
    const context = canvas?.getContext("webgl2");
    if (!context) throw new Error("expected WebGL 2, got none");
    context.getExtension("WEBGL_lose_context")?.loseContext();
  };

  /**
   * Load the program and the model.
   *
   * @param {any} bundle MediaPipe's module
   * @param {string} folder address of its files
   * @param {boolean} asModule whether the caller is a module worker
   * @throws {Error} without WebGL 2
   */
  const load = async (bundle, folder, asModule) => {
    requireWebGl();
    const files = await bundle.FilesetResolver.forVisionTasks(`${folder}/wasm`, asModule);
    return bundle.FaceLandmarker.createFromOptions(files, {
      baseOptions: { modelAssetPath: `${folder}/${MODEL}`, delegate: "CPU" },
      runningMode: "VIDEO",
      numFaces: 1, // landmarks are smoothed by MediaPipe only where there is one face
      outputFaceBlendshapes: true,
      outputFacialTransformationMatrixes: true,
    });
  };

  /**
   * Find the face in an image.
   *
   * @param {any} landmarker
   * @param {TexImageSource} image
   * @param {number} at_ms increases from image to image
   * @returns {import("./detection.js").Detection}
   */
  const detect = (landmarker, image, at_ms) => {
    const began_ms = performance.now();
    const found = landmarker.detectForVideo(image, at_ms);
    const tracking_ms = performance.now() - began_ms;
    const points = found.faceLandmarks[0];
    const shapes = found.faceBlendshapes[0];
    const matrix = found.facialTransformationMatrixes[0];
    if (!points || !shapes || !matrix) return { face: null, tracking_ms };
    const landmarks = new Float32Array(points.length * 2);
    for (const [index, { x, y }] of points.entries()) landmarks.set([x, y], index * 2);
    /** @type {Record<string, number>} */
    const coefficients = {};
    for (const { categoryName, score } of shapes.categories) coefficients[categoryName] = score;
    delete coefficients._neutral; // not a coefficient of ARKit
    return { face: { coefficients, landmarks, matrix: [...matrix.data] }, tracking_ms };
  };

  /**
   * Return which landmarks are connected by lines, as pairs of indices.
   *
   * @param {any} bundle
   * @returns {import("./detection.js").Connections}
   */
  const connections = (bundle) => {
    const [mesh, ...contours] = OVERLAY.map((name) =>
      bundle.FaceLandmarker[`FACE_LANDMARKS_${name}`].flatMap(
        (/** @type {{start: number, end: number}} */ line) => [line.start, line.end],
      ),
    );
    return { mesh: Uint16Array.from(mesh), contours: Uint16Array.from(contours.flat()) };
  };

  /**
   * Serve a page as its worker: answer `load` with `ready` or `failed`, and each `frame` with its
   * detection.
   *
   * @param {any} scope the worker
   * @param {(folder: string) => Promise<any>} importBundle
   * @param {boolean} asModule
   */
  const serve = (scope, importBundle, asModule) => {
    /** @type {any} */
    let landmarker = null;
    scope.onmessage = async (/** @type {MessageEvent} */ { data }) => {
      try {
        if (data.type === "load") {
          const bundle = await importBundle(data.folder);
          landmarker = await load(bundle, data.folder, asModule);
          scope.postMessage({ type: "ready", connections: connections(bundle) });
        } else {
          const detection = detect(landmarker, data.image, data.at_ms);
          scope.postMessage({ type: "detected", ...detection });
        }
      } catch (error) {
        scope.postMessage({ type: "failed", detail: String(error) });
      } finally {
        data.image?.close();
      }
    };
  };

  Object.assign(globalThis, { telewarpLandmarks: { load, detect, connections, serve } });
}

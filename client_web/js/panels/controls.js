// The panel of presets and sliders. Given its elements; what the face does with them is for others.

import { groupCoefficients } from "../input/coefficients.js";
import { PERFORMANCES, PRESETS } from "../input/presets.js";

const HEAD_CONTROLS = [
  { axis: "turn", label: "Turn", limit_deg: 30 },
  { axis: "nod", label: "Nod", limit_deg: 20 },
  { axis: "tilt", label: "Tilt", limit_deg: 20 },
];
const DEGREE = Math.PI / 180;

/** @typedef {import("../input/coefficients.js").Control} Control */

export class Controls {
  #document;
  #groups;
  #presets;
  /** @type {HTMLInputElement} */ #linked;
  #face;
  #onChange;
  /** @type {Map<string, {control: Control, row: HTMLElement, input: HTMLInputElement, output: HTMLOutputElement}>} */
  #sliders = new Map();
  /** @type {Map<string, {input: HTMLInputElement, output: HTMLOutputElement}>} */ #head =
    new Map();
  /** @type {string | null} */ #chosen = null;

  /**
   * @param {HTMLElement} element with `[data-presets]`, `[data-groups]`, `[data-linked]`, `[data-blinking]`
   * @param {import("../input/face.js").Face} face
   * @param {() => void} onChange called after the face has been moved by hand
   */
  constructor(element, face, onChange) {
    this.#document = element.ownerDocument;
    this.#presets = element.querySelector("[data-presets]");
    this.#groups = element.querySelector("[data-groups]");
    this.#linked = element.querySelector("[data-linked]");
    this.#face = face;
    this.#onChange = onChange;
    this.#linked.addEventListener("change", () => this.#showLinks());
    /** @type {HTMLInputElement} */
    const blinking = element.querySelector("[data-blinking]");
    blinking.addEventListener("change", () => (face.blinking = blinking.checked));
    this.#presets.replaceChildren(
      ...[...Object.keys(PRESETS), ...Object.keys(PERFORMANCES)].map((name) =>
        this.#presetButton(name),
      ),
    );
  }

  /**
   * @param {readonly string[]} names the avatar's coefficients, in its order
   * @param {readonly [number, number]} range their least and greatest value
   */
  setNames(names, range = [0, 1]) {
    if (names.length === this.#sliders.size && names.every((name) => this.#sliders.has(name)))
      return;
    this.#sliders.clear();
    const groups = groupCoefficients(names).map(({ title, controls }) =>
      this.#group(
        title,
        controls.map((control) => this.#coefficientRow(control, range)),
      ),
    );
    const head = this.#group(
      "Head",
      HEAD_CONTROLS.map((control) => this.#headRow(control)),
    );
    this.#groups.replaceChildren(...groups, head);
    this.#groups.querySelector("details").open = true;
    this.#showLinks();
  }

  /** Puts the sliders where the face is going, as after a preset or a release. */
  refresh() {
    for (const [name, { input, output }] of this.#sliders) {
      if (this.#document.activeElement !== input || !this.#face.driving)
        setSlider(input, output, this.#face.goal[name] ?? 0);
    }
    for (const [axis, { input, output }] of this.#head)
      setAngle(input, output, this.#face.head[axis]);
    if (!this.#face.driving) this.#choose(null);
  }

  #presetButton(name) {
    const button = this.#document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.dataset.preset = name;
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      if (name in PERFORMANCES) this.#face.perform(PERFORMANCES[name]);
      else this.#face.become(this.#known(PRESETS[name]));
      this.#choose(name);
      this.refresh();
      this.#onChange();
    });
    return button;
  }

  /** An avatar may have fewer coefficients than a preset names. */
  #known(expression) {
    return Object.fromEntries(
      Object.entries(expression).filter(([name]) => this.#sliders.has(name)),
    );
  }

  #choose(name) {
    if (name === this.#chosen) return;
    this.#chosen = name;
    for (const button of this.#presets.children) {
      button.setAttribute("aria-pressed", String(button.textContent === name));
    }
  }

  #group(title, rows) {
    const details = this.#document.createElement("details");
    details.name = "coefficients"; // only one of them open at a time
    const summary = this.#document.createElement("summary");
    summary.textContent = title;
    details.append(summary, ...rows);
    return details;
  }

  #coefficientRow(control, [min, max]) {
    const { row, input, output } = this.#slider(control.label, { min, max, step: 0.01 });
    input.dataset.coefficient = control.name;
    input.addEventListener("input", () => this.#moved(control, Number(input.value)));
    row.addEventListener("dblclick", () => this.#moved(control, 0));
    this.#sliders.set(control.name, { control, row, input, output });
    return row;
  }

  #headRow({ axis, label, limit_deg }) {
    const { row, input, output } = this.#slider(label, {
      min: -limit_deg,
      max: limit_deg,
      step: 0.5,
    });
    input.dataset.head = axis;
    input.addEventListener("input", () => {
      this.#face.turnHead({ [axis]: Number(input.value) * DEGREE });
      setAngle(input, output, this.#face.head[axis]);
      this.#onChange();
    });
    setAngle(input, output, 0);
    this.#head.set(axis, { input, output });
    return row;
  }

  #slider(label, { min, max, step }) {
    const row = this.#document.createElement("label");
    const name = this.#document.createElement("span");
    const input = this.#document.createElement("input");
    const output = this.#document.createElement("output");
    row.className = "slider";
    name.textContent = label;
    Object.assign(input, { type: "range", min, max, step, value: 0 });
    row.append(name, input, output);
    setSlider(input, output, 0);
    return { row, input, output };
  }

  #moved(control, value) {
    const values = { [control.name]: value };
    if (control.partner && this.#linked.checked) values[control.partner] = value;
    this.#face.set(values);
    for (const [name, moved] of Object.entries(values)) {
      const { input, output } = this.#sliders.get(name);
      setSlider(input, output, moved);
    }
    this.#choose(null);
    this.#onChange();
  }

  /** Linked sides share the slider of the first of each pair. */
  #showLinks() {
    const linked = this.#linked.checked;
    const seen = new Set();
    for (const { control, row } of this.#sliders.values()) {
      row.hidden = linked && control.partner !== null && seen.has(control.partner);
      row.firstChild.textContent = rowLabel(control, linked);
      seen.add(control.name);
    }
  }
}

function rowLabel({ label, side, partner, name }, linked) {
  if (!partner || linked) return label;
  return name.startsWith("eyeLook") ? `${label}, ${side} eye` : `${label}, ${side}`;
}

function setSlider(input, output, value) {
  input.value = String(value);
  output.value = value ? value.toFixed(2).replace(/^0/, "") : "0";
  input.style.setProperty("--filled", String(value));
  input.classList.toggle("moved", value > 0);
}

function setAngle(input, output, radians) {
  const degrees = radians / DEGREE;
  const limit = Number(input.max);
  input.value = String(degrees);
  output.value = `${Math.round(degrees)}°`;
  input.style.setProperty("--filled", String((degrees + limit) / (2 * limit)));
  input.classList.toggle("moved", Math.round(degrees) !== 0);
}

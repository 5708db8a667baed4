// Entry point of the page of a call.

import { timers } from "./app/browser.js";
import { callApi } from "./app/call_api.js";
import { CallPage } from "./app/call_page.js";
import { access, tabStorage } from "./connection/access.js";

const base = new URL(".", location.href);
access.takeFrom(location, history);
const call = new URLSearchParams(location.search).get("call") ?? "";
const page = new CallPage(document, base, call, timers, tabStorage());

window.addEventListener("hashchange", () => access.takeFrom(location, history));
window.addEventListener("online", () => page.retryNow());
window.addEventListener("pagehide", () => page.close());
// A page restored from the browser's back-forward cache has ended its sessions.
window.addEventListener("pageshow", ({ persisted }) => {
  if (persisted) location.reload();
});
document.addEventListener("keydown", ({ key, target, ctrlKey, metaKey, altKey }) => {
  if (!page.seated || ctrlKey || metaKey || altKey) return;
  if (target instanceof HTMLElement && target.matches("input, select")) return;
  if (key.toLowerCase() === "m") page.toggleMute();
  if (key.toLowerCase() === "n") page.calibrate();
});
Object.defineProperty(window, "telewarp", { value: callApi(page) });
void page.open();

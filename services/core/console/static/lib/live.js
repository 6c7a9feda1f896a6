/** Keeps numbers fresh, and says when they are not. */

import { write } from "./dom.js";

const stale = new Map();
let lastSeen = null;

/**
 * Do something at once, and again so long after it has ended; not while the page is hidden.
 *
 * When it fails, what is shown stays, and a banner says since when it is stale and why.
 *
 * @param {number} seconds
 * @param {() => Promise<void>|void} work
 * @param {AbortSignal} signal - Ends it.
 */
export async function every(seconds, work, signal) {
  const name = Symbol("poll");
  let since = null;
  signal.addEventListener("abort", () => settle(name));
  while (!signal.aborted) {
    try {
      await work();
      if (signal.aborted) return;
      since = lastSeen = new Date();
      settle(name);
    } catch (problem) {
      if (signal.aborted) return;
      if (!("status" in problem)) console.error(problem);
      stale.set(name, { problem, since });
    }
    tell();
    await pause(seconds, signal);
    await shown(signal);
  }
}

/**
 * Show, or no longer show, that something on the page is not fresh.
 *
 * @param {any} name - Of what is stale; anything that is its own.
 * @param {Error|null} problem - Why; null when it is fresh again.
 */
export function mark(name, problem) {
  if (problem) stale.set(name, { problem, since: lastSeen });
  else {
    lastSeen = new Date();
    settle(name);
  }
  tell();
}

/** Forget when something was last seen: another page is shown. */
export function forget() {
  lastSeen = null;
  tell();
}

/**
 * Wait.
 *
 * @param {number} seconds
 * @param {AbortSignal} signal - Ends it early.
 */
export function pause(seconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

function shown(signal) {
  if (!document.hidden || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look, { once: true });
  });
}

function settle(name) {
  if (stale.delete(name)) tell();
}

function tell() {
  const [worst] = stale.values();
  const banner = document.getElementById("stale");
  const live = document.getElementById("live");
  banner.hidden = !worst;
  document.body.classList.toggle("is-stale", Boolean(worst));
  if (worst) {
    const since = worst.since ? `What is shown is of ${worst.since.toLocaleTimeString()}.` : "";
    write(banner, `${worst.problem.detail ?? "Something in this page went wrong."} ${since}`.trim());
  }
  live.hidden = !lastSeen;
  if (lastSeen) {
    live.title = `Last asked at ${lastSeen.toLocaleTimeString()}`;
    write(live, worst ? "Stale" : `Live ${lastSeen.toLocaleTimeString()}`);
  }
}

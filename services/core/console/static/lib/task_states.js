/** The states of tasks and steps: what each is called, in which mood it is, how it is drawn. */

import { svg } from "./dom.js";
import { badge } from "./format.js";

const KNOWN = {
  sent: { tone: "wait", text: "waiting", path: "M8 4.8V8l2.2 1.5" },
  received: { tone: "wait", text: "received", path: "M8 4.5v4.4M5.9 7 8 9.1 10.1 7M5.2 11.4h5.6" },
  started: { tone: "busy", text: "running", path: "M6.6 5.2 11 8l-4.4 2.8z" },
  retried: { tone: "warn", text: "retrying", path: "M10.9 8.3A3 3 0 1 1 10 5.8M10.3 3.8v2.2H8.1" },
  rejected: { tone: "bad", text: "rejected", path: "M5 8h6" },
  revoked: { tone: "warn", text: "revoked", path: "M5.6 10.4l4.8-4.8" },
  failed: { tone: "bad", text: "failed", path: "M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8" },
  succeeded: { tone: "good", text: "done", path: "M4.9 8.3l2.2 2.2 4.1-4.6" },
  pending: { tone: "none", text: "not sent yet", path: "M6 8h.01M8 8h.01M10 8h.01" },
  skipped: { tone: "none", text: "skipped", path: "M5.2 5.6 7.6 8l-2.4 2.4M8.6 5.6 11 8l-2.4 2.4" },
};

/** Those of tasks, in the order of a task's life; the last two are of steps that are not published. */
export const TASK_STATES = ["sent", "received", "started", "retried", "rejected", "revoked", "failed", "succeeded"];
export const STEP_STATES = [...TASK_STATES, "pending", "skipped"];
/** In the order in which a person wants to hear of them. */
export const WORST_FIRST = [
  "failed",
  "rejected",
  "revoked",
  "retried",
  "started",
  "received",
  "sent",
  "pending",
  "skipped",
  "succeeded",
];
const UNDER_WAY = new Set(["sent", "received", "started", "retried", "pending"]);
const LOST = new Set(["failed", "rejected", "revoked"]);

/**
 * Tell in which mood a state is: good, busy, wait, warn, bad or none.
 *
 * @param {string} name
 * @returns {string}
 */
export function toneOfTask(name) {
  return KNOWN[name]?.tone ?? "none";
}

/**
 * Tell what a state is called.
 *
 * @param {string} name
 * @returns {string}
 */
export function textOfTask(name) {
  return KNOWN[name]?.text ?? name;
}

/**
 * Return the line that is drawn for a state, in a square of 16.
 *
 * @param {string} name
 * @returns {string} A path of SVG.
 */
export function pathOfTask(name) {
  return KNOWN[name]?.path ?? KNOWN.pending.path;
}

/**
 * Make a badge for the state of a task.
 *
 * @param {string} name
 * @returns {HTMLElement}
 */
export function taskState(name) {
  const made = badge(name, toneOfTask(name));
  if (textOfTask(name) !== name) made.title = textOfTask(name);
  return made;
}

/**
 * Draw a state as the graph does.
 *
 * @param {string} name
 * @returns {SVGElement}
 */
export function stateMark(name) {
  return svg(
    "svg",
    { class: `state-mark ${toneOfTask(name)}`, viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("circle", { cx: 8, cy: 8, r: 7.5 }),
    svg("path", { d: pathOfTask(name) }),
  );
}

/**
 * Tell whether more is to be heard of a task in this state.
 *
 * @param {string} name
 * @returns {boolean}
 */
export function isUnderWay(name) {
  return UNDER_WAY.has(name);
}

/**
 * Tell whether what follows from a task in this state does not run.
 *
 * @param {string} name
 * @returns {boolean}
 */
export function isLost(name) {
  return LOST.has(name);
}

/**
 * Count by state, the worst first.
 *
 * @param {{state: string}[]} steps
 * @returns {{state: string, count: number}[]}
 */
export function countStates(steps) {
  const counts = new Map();
  for (const step of steps) counts.set(step.state, (counts.get(step.state) ?? 0) + 1);
  const known = WORST_FIRST.filter((name) => counts.has(name));
  const others = [...counts.keys()].filter((name) => !WORST_FIRST.includes(name));
  return [...known, ...others].map((name) => ({ state: name, count: counts.get(name) }));
}

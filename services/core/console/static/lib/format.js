/** Numbers, times and states as people read them. */

import { h } from "./dom.js";

/** What stands where something is not known: unknown is not zero. */
export const UNKNOWN = "–";

const NUMBER = new Intl.NumberFormat("en");
const ROUGH = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const BYTES = ["B", "kB", "MB", "GB", "TB"];
const COLOURS = 8;
const TONES = {
  good: ["SUCCESS", "done", "up", "sent", "delivered", "running now", "live"],
  busy: ["STARTED", "RECEIVED", "running", "processing", "sending", "started"],
  wait: ["PENDING", "SENT", "DELAYED", "submitted", "pending", "queued", "recorded", "waiting", "delayed"],
  warn: ["RETRY", "paused", "retrying", "stale", "done_with_failures", "done with failures", "draining", "outdated"],
  bad: ["FAILURE", "LOST", "REJECTED", "failed", "down", "dead", "bounced", "refused", "lost", "rejected"],
};
const TONE_OF = new Map(Object.entries(TONES).flatMap(([tone, names]) => names.map((name) => [name, tone])));

let brokers = [];

/**
 * Write a count, with separators; what is not known is a dash.
 *
 * @param {number|null|undefined} number
 * @returns {string}
 */
export function count(number) {
  return known(number) ? NUMBER.format(number) : UNKNOWN;
}

/**
 * Write a size.
 *
 * @param {number|null|undefined} number - In bytes.
 * @returns {string}
 */
export function bytes(number) {
  if (!known(number)) return UNKNOWN;
  let step = 0;
  let left = number;
  while (left >= 1000 && step < BYTES.length - 1) {
    left /= 1000;
    step += 1;
  }
  return `${step ? ROUGH.format(left) : left} ${BYTES[step]}`;
}

/**
 * Write how long something took, in the two units that matter.
 *
 * @param {number|null|undefined} time - In seconds.
 * @returns {string}
 */
export function seconds(time) {
  if (!known(time)) return UNKNOWN;
  if (time < 0.0995) return `${Math.max(0, Math.round(time * 1000))} ms`;
  if (time < 9.95) return `${time.toFixed(1)} s`;
  if (time < 59.5) return `${Math.round(time)} s`;
  const minutes = Math.round(time / 60);
  if (time < 3600) return time < 600 ? `${Math.floor(time / 60)} min ${Math.floor(time % 60)} s` : `${minutes} min`;
  if (time < 86_400) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(time / 86_400)} d ${Math.floor((time % 86_400) / 3600)} h`;
}

/**
 * Make a node that tells a time relative to now, and goes on doing so; its title has the exact time.
 *
 * @param {string|number|null|undefined} time - As ISO 8601 text, or in seconds since the epoch.
 * @returns {Node}
 */
export function when(time) {
  if (time === null || time === undefined) return document.createTextNode(UNKNOWN);
  const at = typeof time === "number" ? new Date(time * 1000) : new Date(time);
  if (Number.isNaN(at.valueOf())) return document.createTextNode(String(time));
  const exact = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  return h("time", { class: "when", datetime: at.toISOString(), title: exact }, relative(at));
}

/**
 * Make a badge for a state; its colour says in which of five moods it is, its text which state.
 *
 * @param {string} name
 * @returns {HTMLElement}
 */
export function state(name) {
  return badge(String(name).replaceAll("_", " ").toLowerCase(), toneOf(name));
}

/**
 * Return the mood of a state: good, busy, wait, warn, bad or none.
 *
 * @param {string} name
 * @returns {string}
 */
export function toneOf(name) {
  return TONE_OF.get(name) ?? "none";
}

/**
 * Make a badge.
 *
 * @param {string} text
 * @param {string} [tone] - good, busy, wait, warn, bad or none.
 * @returns {HTMLElement}
 */
export function badge(text, tone = "none") {
  return h("span", { class: `badge ${tone}` }, text);
}

/**
 * Learn the names of the brokers, of which each has a colour.
 *
 * @param {string[]} names - In any order.
 */
export function learnBrokers(names) {
  brokers = [...names].sort();
}

/**
 * Return the colour of a broker, the same one on all pages.
 *
 * @param {string|null|undefined} name
 * @returns {string} A CSS colour.
 */
export function brokerColour(name) {
  const place = brokers.indexOf(name);
  return place < 0 ? "var(--muted)" : `var(--broker-${place % COLOURS})`;
}

/**
 * Make a broker's name with a dot of its colour.
 *
 * @param {string|null|undefined} name
 * @returns {HTMLElement}
 */
export function brokerMark(name) {
  return h("span", { class: "broker", style: { "--colour": brokerColour(name) } }, name ?? UNKNOWN);
}

function known(number) {
  return number !== null && number !== undefined && !Number.isNaN(number);
}

function relative(at) {
  const past = (Date.now() - at.valueOf()) / 1000;
  const away = Math.abs(past);
  if (away < 1.5) return "now";
  const text = away < 60 ? `${Math.round(away)} s` : seconds(away).split(" ").slice(0, 2).join(" ");
  return past < 0 ? `in ${text}` : `${text} ago`;
}

setInterval(() => {
  if (document.hidden) return;
  for (const node of document.querySelectorAll("time.when")) {
    const text = relative(new Date(node.dateTime));
    if (node.textContent !== text) node.textContent = text;
  }
}, 1000);

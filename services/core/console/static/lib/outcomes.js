/** Work that has many parts, each with an outcome: the files of a job, the recipients of a campaign. */

import { bar } from "./charts.js";
import { h } from "./dom.js";
import { badge, count, seconds } from "./format.js";

const TONES = {
  done: "good",
  sent: "good",
  invalid: "invalid",
  unknown: "warn",
  failed: "bad",
  cancelled: "cancelled",
  waiting: "left",
  pending: "left",
};
const NOT_WELL = ["failed", "unknown", "invalid"];
const OPEN = ["waiting", "pending"];

/**
 * Tell of how many parts something has, and how many of them have an outcome.
 *
 * @param {Record<string, number>} counts - How many parts are in which state.
 * @returns {{total: number, decided: number}}
 */
export function decided(counts) {
  const total = Object.values(counts).reduce((sum, number) => sum + number, 0);
  return { total, decided: total - OPEN.reduce((sum, name) => sum + (counts[name] ?? 0), 0) };
}

/**
 * Make a badge for an outcome, in its colour of the bar.
 *
 * @param {string} name
 * @returns {HTMLElement}
 */
export function outcome(name) {
  return badge(name, name === "cancelled" || OPEN.includes(name) ? "none" : TONES[name]);
}

/**
 * Write how far something is: the one figure of a page.
 *
 * @param {Record<string, number>} counts
 * @param {string} one - What a part is called.
 * @param {string} many - And several.
 * @returns {HTMLElement}
 */
export function progress(counts, one, many) {
  const { total, decided: number } = decided(counts);
  return h(
    "p",
    { class: "figure" },
    h("strong", null, `${count(number)} of ${count(total)}`),
    ` ${total === 1 ? one : many}`,
  );
}

/**
 * Draw counts as a bar: what went well, what did not, what is open.
 *
 * @param {Record<string, number>} counts
 * @returns {HTMLElement}
 */
export function outcomeBar(counts) {
  const { total } = decided(counts);
  const parts = present(counts).filter((name) => !OPEN.includes(name));
  return bar(
    parts.map((name) => ({ value: counts[name], tone: TONES[name], label: name })),
    { total },
  );
}

/**
 * Draw counts as a bar and words, small enough for a table.
 *
 * @param {Record<string, number>} counts
 * @returns {HTMLElement}
 */
export function outcomeCell(counts) {
  const whole = decided(counts);
  const bad = NOT_WELL.filter((name) => counts[name]).map((name) => `${count(counts[name])} ${name}`);
  const told = [`${count(whole.decided)} of ${count(whole.total)}`, ...bad].join(", ");
  return h("div", { class: "outcomes" }, outcomeBar(counts), h("span", null, told));
}

/**
 * List counts with words and shares; each leads to what it counts.
 *
 * @param {Record<string, number>} counts
 * @param {(state: string) => string|null} href - Where a count leads.
 * @returns {HTMLElement}
 */
export function legend(counts, href) {
  const { total } = decided(counts);
  const entry = (name) => {
    const text = [h("strong", null, count(counts[name])), ` ${name} `, h("small", null, share(counts[name], total))];
    const target = href(name);
    return h("li", { class: TONES[name], dataset: { state: name } }, h(target ? "a" : "span", { href: target }, text));
  };
  return h("ul", { class: "outcome-legend" }, present(counts).map(entry));
}

/**
 * Make links that filter a list by state; the filter lives in the address.
 *
 * @param {string[]} states - Those that can be chosen.
 * @param {string} chosen - The one that is, or "" for all.
 * @param {(state: string) => string} href - Where a state leads.
 * @param {{all?: string, choose?: (state: string) => void}} [options] - `all`: what "" is called. `choose` is called
 *   instead of going there, so that the page stays where it is.
 * @returns {HTMLElement}
 */
export function stateTabs(states, chosen, href, { all = "all", choose } = {}) {
  const click = (event, name) => {
    if (!choose || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    choose(name);
  };
  const tab = (name) => {
    const current = name === chosen ? "true" : null;
    const text = name ? name.replaceAll("_", " ") : all;
    return h("a", { href: href(name), "aria-current": current, on: { click: (event) => click(event, name) } }, text);
  };
  return h("nav", { class: "tabs", "aria-label": "By state" }, ["", ...states].map(tab));
}

/**
 * Tell how long work took, or has taken so far.
 *
 * @param {{created_at: string, finished_at: string|null}} work - A job or a campaign.
 * @returns {string}
 */
export function took({ created_at: begun, finished_at: ended }) {
  return seconds(Math.max(0, ((ended ? Date.parse(ended) : Date.now()) - Date.parse(begun)) / 1000));
}

function present(counts) {
  return Object.keys(TONES).filter((name) => counts[name]);
}

function share(number, total) {
  const percent = (100 * number) / total;
  if (percent < 0.1) return "< 0.1 %";
  return `${percent.toFixed(percent < 10 && number < total ? 1 : 0)} %`;
}

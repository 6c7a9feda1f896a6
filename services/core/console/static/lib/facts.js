/** What is known of one thing: names with values, in panels. */

import { h } from "./dom.js";

/**
 * Make a panel with a heading.
 *
 * @param {string} name - The heading.
 * @param {Node|Node[]} content
 * @returns {HTMLElement}
 */
export function panel(name, content) {
  return h(
    "section",
    { class: "panel" },
    h("div", { class: "head" }, h("h2", null, name)),
    h("div", { class: "body stack" }, content),
  );
}

/**
 * List names with values; what has no value is left out.
 *
 * @param {[string, Node|string|number|null|undefined][]} known
 * @returns {HTMLElement[]} What is in a `dl` with the class `facts`.
 */
export function facts(known) {
  return known.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)]);
}

/**
 * Make an id that leads to a page.
 *
 * @param {string|null|undefined} value
 * @param {string} page - As addresses begin: `tasks`, `workflows`.
 * @returns {HTMLElement|null|undefined} The value itself where there is none.
 */
export function idLink(value, page) {
  return value && h("code", null, h("a", { href: `#/${page}/${encodeURIComponent(value)}` }, value));
}

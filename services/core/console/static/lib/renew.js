/** Shows something anew without getting in the way of who is using it. */

import { h, replace } from "./dom.js";

const FOCUSABLE = "a, button, input, select, textarea, summary";

/**
 * Put children in place of those that an element has, unless they look the same; what has the focus keeps its place.
 *
 * Children that look the same stay with their listeners, so what listens asks for what is current.
 *
 * @param {Element} place
 * @param {...(Node|string|number|Array|null|undefined|false)} children - As for `h`.
 */
export function renew(place, ...children) {
  const wanted = h("div", null, children);
  const same = wanted.childNodes.length === place.childNodes.length;
  if (same && [...wanted.childNodes].every((child, at) => child.isEqualNode(place.childNodes[at]))) return;
  const before = [...place.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  replace(place, ...wanted.childNodes);
  if (before >= 0) place.querySelectorAll(FOCUSABLE)[before]?.focus();
}

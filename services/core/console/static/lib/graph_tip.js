/** Tells of the node that somebody points at, beside it. */

import { h, replace } from "./dom.js";

const DISTANCE = 8;

/**
 * Make what is shown beside a node.
 *
 * @param {Element} frame - Within which it stays.
 * @param {{toFrame: (x: number, y: number) => {x: number, y: number}}} look - The camera.
 * @param {(node: object) => Node|Node[]} describe - What is told of a node.
 * @returns {{element: HTMLElement, show: (node: object, place: object) => void, hide: () => void}}
 */
export function tipOf(frame, look, describe) {
  const element = h("div", { class: "tip", role: "tooltip", hidden: true });

  function show(node, place) {
    element.hidden = false;
    replace(element, describe(node));
    const { width, height } = frame.getBoundingClientRect();
    const [own, tall] = [element.offsetWidth, element.offsetHeight];
    const [high, low] = [look.toFrame(place.x, place.y), look.toFrame(place.x, place.y + place.height)];
    const below = low.y + DISTANCE + tall < height || high.y < tall + DISTANCE;
    const top = below ? Math.min(low.y + DISTANCE, height - tall - DISTANCE) : high.y - tall - DISTANCE;
    element.style.setProperty("left", `${Math.max(DISTANCE, Math.min(low.x, width - own - DISTANCE))}px`);
    element.style.setProperty("top", `${Math.max(DISTANCE, top)}px`);
  }

  return { element, show, hide: () => (element.hidden = true) };
}

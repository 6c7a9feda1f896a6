/** Lists that show their first entries, and more of them when they are asked to. */

import { asking } from "./asking.js";
import { h } from "./dom.js";

const MOST = 1000; // the API gives no more at once

/**
 * Make the button that a list grows by.
 *
 * @param {object} options
 * @param {number} options.step - How many entries there are at first, and how many more each time.
 * @param {(limit: number) => Promise<{entries: object[], after: any}|null>} options.ask - Asks the API for so many of
 *   the first; null when the answer is no longer wanted.
 * @param {(entries: object[]) => void} options.update - Shows them.
 * @param {AbortSignal} options.signal - Of the page.
 * @returns {{more: HTMLElement, load: () => Promise<void>, refresh: () => Promise<void>}} The button, hidden while there
 *   is no more to show; `load` asks and raises what fails, `refresh` says so on the page, as `asking` does.
 */
export function growingList({ step, ask, update, signal }) {
  let limit = step;
  const load = async () => {
    const found = await ask(limit);
    if (!found) return;
    update(found.entries);
    more.hidden = found.after === null || limit === MOST;
  };
  const refresh = asking(load, signal);
  const grow = () => {
    limit = Math.min(MOST, limit + step);
    refresh();
  };
  const more = h("button", { type: "button", class: "ghost more", hidden: true, on: { click: grow } }, "Show more");
  return { more, load, refresh };
}

/** What is shown for an address that leads nowhere. */

import { h, replace } from "../lib/dom.js";

export const title = "Not found";

/**
 * Say that there is no such page.
 *
 * @param {HTMLElement} main
 */
export async function show(main) {
  const home = h("a", { class: "button", href: "#/" }, "To the overview");
  replace(
    main,
    h(
      "div",
      { class: "empty whole" },
      h("h2", null, "There is no such page"),
      h("p", null, "The address leads nowhere."),
      home,
    ),
  );
}

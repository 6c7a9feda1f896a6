/** Keys: `/` searches, `g` and a letter goes to a page, `?` tells them all. */

import { h } from "./dom.js";
import { show } from "./dialogs.js";
import { NAVIGATION } from "./routes.js";

const SECOND_KEY_WITHIN_MS = 1500;

/**
 * Listen to the keys of all pages; not while somebody writes, and not under a dialog.
 *
 * @param {{navigate: (hash: string) => void, help: () => void, isSignedIn: () => boolean}} options
 */
export function listenToKeys({ navigate, help, isSignedIn }) {
  let went = 0;
  addEventListener("keydown", (event) => {
    const busy = event.target.closest("input, textarea, select, [contenteditable], dialog");
    if (event.key === "Escape" && event.target.matches?.("input[type=search]")) event.target.blur();
    if (busy || !isSignedIn() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "?") {
      help();
    } else if (event.key === "/") {
      focusSearch(event);
    } else if (event.key === "g") {
      went = Date.now();
    } else if (Date.now() - went < SECOND_KEY_WITHIN_MS) {
      went = 0;
      const place = document.querySelector(`#side nav a[aria-keyshortcuts="g ${CSS.escape(event.key)}"]`);
      if (place) navigate(place.getAttribute("href"));
    }
  });
}

/** Show which keys there are. */
export function showKeys() {
  const places = NAVIGATION.flatMap(({ entries }) => entries).map(({ text, key }) => [["g", key], text]);
  const keys = [
    [["/"], "Search on this page"],
    ...places,
    [["?"], "These keys"],
    [["Esc"], "Close, or leave the search"],
  ];
  const rows = keys.map(([pressed, text]) => [
    h(
      "dt",
      null,
      pressed.map((key) => h("kbd", null, key)),
    ),
    h("dd", null, text),
  ]);
  show({ title: "Keys", content: h("dl", { class: "keys" }, rows) });
}

function focusSearch(event) {
  const field = document.querySelector("#main input[type=search]");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
}

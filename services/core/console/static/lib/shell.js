/** What stands around every page: navigation, heading, theme, who is signed in. */

import { h, replace, svg } from "./dom.js";
import { icon } from "./icons.js";
import { showKeys } from "./keys.js";
import { NAVIGATION } from "./routes.js";

const THEMES = ["auto", "light", "dark"];
const THEME = "switchyard.theme";

/**
 * Build the frame of the pages for somebody.
 *
 * @param {{label: string, role: string, acts: string[]}} who
 * @param {() => void} leave - Signs out.
 */
export function buildShell(who, leave) {
  const side = document.getElementById("side");
  const top = document.getElementById("top");
  replace(side, brand(), navigation(who), foot(who, leave));
  replace(
    top,
    h(
      "button",
      { type: "button", class: "ghost menu", "aria-label": "Menu", "aria-controls": "side", on: { click: openDrawer } },
      icon("menu"),
    ),
    h("div", { id: "heading" }),
    h("span", { id: "live", hidden: true }),
  );
  side.hidden = top.hidden = false;
}

/**
 * Mark the page's place in the navigation.
 *
 * @param {string} nav
 */
export function markPlace(nav) {
  for (const link of document.querySelectorAll("#side nav a")) {
    if (link.dataset.nav === nav) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** Close the navigation where it lies over the page: on phones. */
export function closeDrawer() {
  document.body.classList.remove("drawer");
}

function openDrawer() {
  document.body.classList.add("drawer");
  const away = new AbortController();
  const side = document.getElementById("side");
  const end = () => (closeDrawer(), away.abort());
  side.querySelector("nav a[aria-current], nav a").focus();
  addEventListener("keydown", (event) => event.key === "Escape" && (end(), focusMenu()), { signal: away.signal });
  document.addEventListener("pointerdown", (event) => !side.contains(event.target) && end(), { signal: away.signal });
  document.addEventListener("focusin", (event) => !side.contains(event.target) && end(), { signal: away.signal });
}

function focusMenu() {
  document.querySelector("#top .menu").focus();
}

function brand() {
  const tracks = svg("path", { d: "M3 8h18M3 18h5c6 0 4-10 10-10M13 18h8" });
  return h(
    "a",
    { class: "brand", href: "#/" },
    svg("svg", { viewBox: "0 0 24 26", "aria-hidden": "true" }, tracks),
    "Switchyard",
  );
}

function navigation(who) {
  return h(
    "nav",
    { "aria-label": "Pages" },
    NAVIGATION.map(({ title, entries }) => {
      const offered = entries.filter((entry) => !entry.act || who.acts.includes(entry.act));
      if (!offered.length) return null;
      return [
        h("h2", null, title),
        h(
          "ul",
          null,
          offered.map(({ nav, href, text, key }) =>
            h(
              "li",
              null,
              h(
                "a",
                { href, dataset: { nav }, "aria-keyshortcuts": `g ${key}` },
                icon(nav),
                h("span", null, text),
                h("kbd", null, key),
              ),
            ),
          ),
        ),
      ];
    }),
  );
}

function foot(who, leave) {
  return h(
    "div",
    { class: "foot" },
    h("div", { class: "who" }, h("strong", { title: who.label }, who.label), h("span", { class: "role" }, who.role)),
    h(
      "div",
      { class: "tools" },
      themeSwitch(),
      h(
        "button",
        { type: "button", class: "ghost", "aria-label": "Keys", title: "Keys", on: { click: showKeys } },
        h("kbd", null, "?"),
      ),
      h(
        "button",
        { type: "button", class: "ghost", "aria-label": "Sign out", title: "Sign out", on: { click: leave } },
        icon("out"),
      ),
    ),
  );
}

function themeSwitch() {
  const button = h("button", { type: "button", class: "ghost theme" });
  let theme = document.documentElement.dataset.theme ?? "auto";
  const draw = () => {
    const text = theme === "auto" ? "Theme: as the system" : `Theme: ${theme}`;
    button.title = text;
    button.setAttribute("aria-label", text);
    replace(button, icon(theme));
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    if (theme === "auto") {
      delete document.documentElement.dataset.theme;
      localStorage.removeItem(THEME);
    } else {
      document.documentElement.dataset.theme = theme;
      localStorage.setItem(THEME, theme);
    }
    draw();
  });
  draw();
  return button;
}

/** Shows the page of the address, for who is signed in. */

import { me as askWho, signOut, whenSignedOut } from "./lib/api.js";
import { attempt } from "./lib/dialogs.js";
import { h, replace } from "./lib/dom.js";
import { learnBrokers } from "./lib/format.js";
import { listenToKeys, showKeys } from "./lib/keys.js";
import { forget } from "./lib/live.js";
import { routeOf } from "./lib/routes.js";
import { buildShell, closeDrawer, markPlace } from "./lib/shell.js";

const main = document.getElementById("main");
let who = null;
let page = new AbortController();
let shown = "";

/**
 * Go to a page, or tell the address what the page shows without showing it anew.
 *
 * @param {string} hash - Such as "#/queues/email.bulk".
 * @param {{replace?: boolean}} [options] - `replace`: without a step in the browser's history.
 */
export function navigate(hash, { replace: instead = false } = {}) {
  if (instead) location.replace(hash);
  else location.assign(hash);
}

async function show() {
  page.abort();
  page = new AbortController();
  const { signal } = page;
  const route = routeOf(location.hash);
  shown = location.hash;
  closeDrawer();
  forget();
  markPlace(route.nav);
  const wait = setTimeout(() => signal.aborted || replace(main, h("p", { class: "waiting" }, "Loading…")), 250);
  try {
    const module = await import(`./pages/${route.page}.js`);
    if (signal.aborted) return;
    clearTimeout(wait);
    replace(main);
    heading(module.title);
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true }); // for who reads by ear, and for the next Tab
    const context = { params: route.params, query: route.query, signal, me: who, navigate, setQuery, heading };
    await module.show(main, context);
  } catch (error) {
    if (!signal.aborted) tellFailure(error);
  } finally {
    clearTimeout(wait);
  }
}

/** Name the page: in the bar at the top, and in the browser's tab. */
function heading(title, parent) {
  document.title = `${title} · Switchyard`;
  const crumbs = parent ? [h("a", { href: parent.href }, parent.text), h("span", { "aria-hidden": "true" }, "/")] : [];
  replace(document.getElementById("heading"), crumbs, h("h1", null, title));
}

/** Keep what is filtered in the address, so that the view can be shared; the page is not shown anew. */
function setQuery(values) {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const each of Array.isArray(value) ? value : [value]) if (each) given.append(name, each);
  }
  const path = location.hash.split("?")[0] || "#/";
  shown = given.size ? `${path}?${given}` : path;
  history.replaceState(null, "", shown);
}

function tellFailure(error) {
  if (error.status === 401) return;
  if (!("status" in error)) console.error(error);
  const title = error.status === 404 ? "It is not there" : "This page can't be shown";
  const again = h("button", { type: "button", on: { click: who ? show : begin } }, "Try again");
  replace(
    main,
    h(
      "div",
      { class: "empty whole", role: "alert" },
      h("h2", null, title),
      h("p", null, error.detail ?? error.message),
      again,
    ),
  );
}

async function begin() {
  try {
    who = await askWho();
  } catch (error) {
    if (error.status !== 401) tellFailure(error);
    return;
  }
  learnBrokers(who.brokers ?? []);
  buildShell(who, leave);
  await show();
}

async function leave() {
  await attempt(signOut, "You are signed out.");
  await askToSignIn();
}

async function askToSignIn() {
  if (document.body.classList.contains("signed-out")) return;
  page.abort();
  page = new AbortController();
  who = null;
  document.body.classList.add("signed-out");
  document.title = "Sign in · Switchyard";
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  for (const id of ["side", "top", "stale"]) document.getElementById(id).hidden = true;
  const { show: ask } = await import("./pages/sign_in.js");
  replace(main);
  await ask(main, {
    signal: page.signal,
    enter: async () => {
      document.body.classList.remove("signed-out");
      await begin();
    },
  });
}

whenSignedOut(askToSignIn);
addEventListener("hashchange", () => who && location.hash !== shown && show());
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the hash is the address of a page
  main.focus();
});
listenToKeys({ navigate, help: showKeys, isSignedIn: () => who !== null });
begin();

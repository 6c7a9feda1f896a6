/** The recipients of a campaign: by outcome, searched, page by page. */

import { get } from "./api.js";
import { asking } from "./asking.js";
import { h } from "./dom.js";
import { when } from "./format.js";
import { outcome, stateTabs } from "./outcomes.js";
import { renew } from "./renew.js";
import { table } from "./table.js";

const NOT_SENT = ["failed", "unknown", "invalid"];
const STATES = [...NOT_SENT, "sent", "pending", "cancelled", "all"];
const PER_PAGE = 50;

/**
 * Make the list; its filter lives in the address.
 *
 * @param {string} path - Of the campaign, below the API.
 * @param {{query: URLSearchParams, signal: AbortSignal, setQuery: (values: object) => void}} context
 * @returns {{element: HTMLElement, refresh: () => Promise<void>}}
 */
export function recipients(path, { query, signal, setQuery }) {
  let filter = Object.fromEntries(["status", "text", "after"].map((name) => [name, query.get(name) ?? ""]));
  let known = null;
  const list = listOf();
  const tabs = h("div", null);
  const search = h("input", {
    type: "search",
    name: "text",
    value: filter.text,
    maxlength: 200,
    placeholder: "Address or reason",
    "aria-label": "Search recipients",
  });
  const next = h("button", { type: "button", on: { click: () => choose({ after: next.dataset.after }) } }, "Next page");
  const first = h("button", { type: "button", on: { click: () => choose({}) } }, "First page");

  const choose = (changes) => {
    filter = { ...filter, after: "", ...changes };
    known = null;
    setQuery(filter);
    draw();
    refresh();
  };
  const draw = () => {
    const href = (status) => `#${path}?${new URLSearchParams({ status, text: filter.text })}`;
    renew(tabs, stateTabs(STATES, filter.status, href, { all: "not sent", choose: (status) => choose({ status }) }));
    first.hidden = !filter.after;
    next.hidden = !known?.after;
    if (known?.after) next.dataset.after = known.after;
  };
  const refresh = asking(async () => {
    const asked = filter;
    const status = asked.status === "all" ? [] : asked.status || NOT_SENT;
    const found = await get(`${path}/recipients`, { query: { ...asked, status, limit: PER_PAGE }, signal });
    if (asked !== filter) return;
    known = found;
    list.update(found.entries);
    draw();
  }, signal);

  draw();
  const find = (event) => {
    event.preventDefault();
    choose({ text: search.value.trim() });
  };
  const element = h(
    "section",
    { class: "panel", "aria-label": "Recipients" },
    h(
      "div",
      { class: "head" },
      h("h2", null, "Recipients"),
      h("form", { role: "search", on: { submit: find } }, search),
      tabs,
    ),
    list.element,
    h("div", { class: "toolbar pages" }, first, next),
  );
  return { element, refresh };
}

function listOf() {
  return table({
    caption: "Recipients, in the order of the list",
    columns: [
      { key: "address", title: "Address", cell: (each) => each.address },
      { key: "status", title: "Outcome", cell: (each) => outcome(each.status) },
      { key: "reason", title: "Why", cell: (each) => each.reason },
      { key: "attempt", title: "Attempt", numeric: true, minor: true, cell: (each) => each.attempt },
      { key: "decided", title: "When", minor: true, cell: (each) => when(each.decided_at) },
    ],
    key: (each) => each.recipient_id,
    empty: "Nobody is here.",
  });
}

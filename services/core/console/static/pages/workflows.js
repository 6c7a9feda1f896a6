/** Workflows: those of late, and any by the id of one of its tasks. */

import { get } from "../lib/api.js";
import { asking } from "../lib/asking.js";
import { bar } from "../lib/charts.js";
import { h, replace } from "../lib/dom.js";
import { SINCE, instantOf } from "../lib/filters.js";
import { badge, count, when } from "../lib/format.js";
import { every } from "../lib/live.js";
import { table } from "../lib/table.js";

export const title = "Workflows";

const EVERY_SECONDS = 4;
const MOST = 100;

/**
 * Show the page.
 *
 * @param {HTMLElement} main - Where it goes.
 * @param {object} context - As the app gives it to every page.
 */
export async function show(main, { query, signal, navigate, setQuery }) {
  const search = h("input", {
    type: "search",
    "aria-label": "Id of a task or a group",
    placeholder: "Id of any task or group",
    spellcheck: "false",
  });
  const since = h(
    "select",
    { "aria-label": "Since" },
    SINCE.slice(1).map(({ value, label }) => h("option", { value }, label)),
  );
  since.value = query.get("since") || "24h";
  const list = table({
    caption: "Workflows, the newest first",
    columns: [
      { key: "name", title: "Begins with", cell: (each) => each.name ?? "a group" },
      { key: "state", title: "State", cell: stateOf },
      { key: "steps", title: "Steps", numeric: true, cell: (each) => count(each.tasks), sort: (each) => each.tasks },
      { key: "progress", title: "How it stands", minor: true, cell: progressOf },
      {
        key: "failed",
        title: "Failed",
        numeric: true,
        cell: (each) => (each.failed ? count(each.failed) : ""),
        sort: (each) => each.failed,
      },
      { key: "first", title: "Begun", cell: (each) => when(each.first_at) },
      {
        key: "id",
        title: "Id",
        minor: true,
        cell: (each) => h("code", { class: "muted", title: each.root_id }, each.root_id.slice(0, 8)),
      },
    ],
    key: (each) => each.root_id,
    href: (each) => `#/workflows/${encodeURIComponent(each.root_id)}`,
    empty: "No workflow of more than one task in this time.",
  });
  const open = (event) => {
    event.preventDefault();
    if (search.value.trim()) navigate(`#/workflows/${encodeURIComponent(search.value.trim())}`);
  };
  const read = async () => {
    const found = await get("/workflows", { query: { since: instantOf(since.value), limit: MOST }, signal });
    list.update(found.entries);
  };
  const refresh = asking(read, signal);
  since.addEventListener("change", () => (setQuery({ since: since.value }), refresh()));
  replace(
    main,
    h(
      "form",
      { class: "toolbar", role: "search", on: { submit: open } },
      search,
      h("button", { type: "submit" }, "Draw"),
      h("span", { class: "space" }),
      since,
    ),
    h("div", { class: "panel" }, list.element),
  );
  every(EVERY_SECONDS, read, signal);
}

function stateOf({ under_way: underWay, failed }) {
  if (underWay) return badge("under way", "busy");
  return failed ? badge("failed", "bad") : badge("done", "good");
}

function progressOf({ tasks, under_way: underWay, failed }) {
  return h(
    "div",
    { class: "share" },
    bar([
      { value: tasks - underWay - failed, tone: "good", label: "done" },
      { value: failed, tone: "bad", label: "failed" },
      { value: underWay, tone: "busy", label: "under way" },
    ]),
  );
}

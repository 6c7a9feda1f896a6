/** Who may do what, and who did: the keys without what is secret of them, and the audit. */

import { Problem, get } from "../lib/api.js";
import { asking } from "../lib/asking.js";
import { h, replace } from "../lib/dom.js";
import { badge, seconds, when } from "../lib/format.js";
import { every } from "../lib/live.js";
import { table } from "../lib/table.js";

export const title = "Keys and audit";

const FRESH_SECONDS = 10;
const PER_PAGE = 50;
const DENIED = "Keys and the audit are for operators.";

/**
 * Show the page.
 *
 * @param {HTMLElement} main - Where it goes.
 * @param {{query: URLSearchParams, signal: AbortSignal, me: {key: string, acts: string[]}, setQuery: (values: object) => void}} context
 */
export async function show(main, { query, signal, me, setQuery }) {
  if (!me.acts.includes("see access")) throw new Problem({ status: 403, title: "Not allowed", detail: DENIED });
  const labels = new Map();
  const keys = keysOf(me);
  const audit = auditOf(labels);
  let filter = { key: query.get("key") ?? "", after: query.get("after") ?? "" };
  let known = null;

  const choose = (changes) => {
    filter = { ...filter, after: "", ...changes };
    setQuery(filter);
    refresh();
  };
  const loadKeys = async () => {
    const { entries } = await get("/keys", { signal });
    for (const key of entries) labels.set(key.id, key.label);
    keys.update(entries.toSorted((one, other) => Boolean(one.revoked_at) - Boolean(other.revoked_at)));
    const options = entries.map((key) => h("option", { value: key.id }, `${key.label} (${key.id})`));
    if (select.options.length !== options.length + 1) replace(select, h("option", { value: "" }, "every key"), options);
    select.value = filter.key;
  };
  const loadAudit = async () => {
    const asked = filter;
    const found = await get("/audit", { query: { ...asked, limit: PER_PAGE }, signal });
    if (asked !== filter) return;
    known = found;
    audit.update(found.entries);
    first.hidden = !asked.after;
    next.hidden = found.after === null;
  };
  const load = async () => {
    await loadKeys();
    await loadAudit();
  };
  const refresh = asking(load, signal);
  const select = h("select", { on: { change: () => choose({ key: select.value }) }, "aria-label": "Requests of" });
  const first = h("button", { type: "button", hidden: true, on: { click: () => choose({}) } }, "Latest");
  const next = h(
    "button",
    { type: "button", hidden: true, on: { click: () => choose({ after: known.after }) } },
    "Earlier",
  );
  const made = [
    "Keys are made and revoked on the machine: ",
    h("code", null, "yard key create LABEL --role ROLE"),
    ".",
  ];
  replace(
    main,
    h(
      "section",
      { class: "panel", "aria-label": "Keys" },
      h("div", { class: "head" }, h("h2", null, "Keys"), h("span", { class: "help" }, made)),
      keys.element,
    ),
    h(
      "section",
      { class: "panel", "aria-label": "Audit" },
      h("div", { class: "head" }, h("h2", null, "Audit"), select),
      audit.element,
      h("div", { class: "toolbar pages" }, first, next),
    ),
  );
  every(FRESH_SECONDS, load, signal);
}

function keysOf(me) {
  return table({
    caption: "Keys of the API",
    columns: [
      { key: "label", title: "Key", cell: nameOf },
      { key: "role", title: "Role", cell: (key) => key.role },
      { key: "state", title: "State", cell: (key) => stateOf(key, me) },
      { key: "used", title: "Last used", cell: (key) => (key.last_used_at ? when(key.last_used_at) : "never") },
      { key: "made", title: "Made", minor: true, cell: (key) => when(key.created_at) },
    ],
    key: (key) => key.id,
    empty: ["No keys yet: ", h("code", null, "yard key create LABEL --role ROLE")],
  });
}

function nameOf(key) {
  return h("div", { class: "two" }, h("span", null, key.label), h("small", null, `yard_${key.id}_…`));
}

function stateOf(key, me) {
  if (key.revoked_at) return h("span", null, badge("revoked"), " ", when(key.revoked_at));
  return key.id === me.key ? badge("this session", "good") : badge("in force", "good");
}

function auditOf(labels) {
  return table({
    caption: "Requests that change something, and those that were denied, the latest first",
    columns: [
      { key: "at", title: "When", cell: (entry) => when(entry.at) },
      { key: "key", title: "Key", cell: (entry) => labels.get(entry.key_id) ?? entry.key_id },
      { key: "role", title: "Role", minor: true, cell: (entry) => entry.role },
      { key: "act", title: "Act", cell: (entry) => entry.act },
      {
        key: "subject",
        title: "Of",
        cell: (entry) => h("code", { title: entry.target }, entry.subject ?? entry.target),
      },
      { key: "status", title: "Outcome", cell: outcomeOf },
      { key: "took", title: "Took", numeric: true, minor: true, cell: tookOf },
    ],
    key: (entry) => entry.id,
    empty: "Nothing was asked for yet that changes something.",
  });
}

function outcomeOf({ status }) {
  if (status === null) return badge("under way", "busy");
  if (status === 403) return badge("403 denied", "bad");
  if (status >= 500) return badge(`${status} failed`, "bad");
  return status >= 400 ? badge(`${status} refused`, "warn") : badge(String(status), "good");
}

function tookOf({ at, ended_at: ended }) {
  return seconds(ended ? (Date.parse(ended) - Date.parse(at)) / 1000 : null);
}

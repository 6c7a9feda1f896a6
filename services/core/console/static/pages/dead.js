/** Dead letters: found by cause, queue, task and broker; replayed and dropped one by one, chosen or filtered. */

import { get } from "../lib/api.js";
import { asking } from "../lib/asking.js";
import { h, replace, write } from "../lib/dom.js";
import { SINCE, filters, instantOf } from "../lib/filters.js";
import { badge, brokerMark, count, when } from "../lib/format.js";
import { MOST_AT_ONCE, dropLetters, replayLetters } from "../lib/letter_acts.js";
import { every } from "../lib/live.js";
import { renew } from "../lib/renew.js";
import { table } from "../lib/table.js";

export const title = "Dead letters";

const PAGE = 100;
const EVERY_SECONDS = 4;
const WHICH = [
  { value: "", label: "Not replayed" },
  { value: "true", label: "Replayed" },
  { value: "all", label: "All" },
];

/**
 * Show the page.
 *
 * @param {HTMLElement} main - Where it goes.
 * @param {object} context - As the app gives it to every page.
 */
export async function show(main, { query, signal, me, setQuery }) {
  const may = { replay: me.acts.includes("replay dead letters"), drop: me.acts.includes("drop dead letters") };
  const chosen = new Set();
  let limit = PAGE;
  let fitting = 0;
  let shown = [];

  const bar = filters(fieldsOf(me), query, begin);
  const status = h("span", { class: "muted", role: "status" });
  const acts = h("div", { class: "acts" });
  const list = table({
    caption: "Dead letters, the oldest first",
    columns: [...(may.replay || may.drop ? [box(chosen, drawActs)] : []), ...columnsOf()],
    key: (letter) => letter.number,
    href: (letter) => (me.acts.includes("read dead letter") ? `#/dead/${letter.number}` : null),
    empty: "No dead letter fits. What fails for good, expires or can't be decoded is kept here.",
  });
  const more = h(
    "button",
    { type: "button", hidden: true, on: { click: () => ((limit = Math.min(MOST_AT_ONCE, limit + PAGE)), refresh()) } },
    "More",
  );
  replace(
    main,
    h("div", { class: "panel" }, bar.element),
    h("div", { class: "toolbar" }, status, h("span", { class: "space" }), acts),
    h("div", { class: "panel" }, list.element),
    h("p", { class: "more" }, more),
  );
  const refresh = asking(read, signal);
  every(EVERY_SECONDS, read, signal);

  function begin() {
    setQuery(bar.values());
    limit = PAGE;
    forget();
    refresh();
  }

  function wanted() {
    const { since, replayed, ...values } = bar.values();
    const which = replayed === "all" ? null : replayed || "false";
    return { ...values, since: instantOf(since), replayed: which };
  }

  async function read() {
    const asked = wanted();
    const [found, counts] = await Promise.all([
      get("/dead", { query: { ...asked, limit }, signal }),
      get("/dead/counts", { query: asked, signal }),
    ]);
    if (JSON.stringify({ ...asked, since: "" }) !== JSON.stringify({ ...wanted(), since: "" })) return;
    shown = found.entries;
    fitting = found.after === null ? shown.length : counts.letters;
    const there = new Set(shown.map((letter) => letter.number));
    for (const number of chosen) if (!there.has(number)) chosen.delete(number);
    list.update(shown);
    more.hidden = found.after === null || limit >= MOST_AT_ONCE;
    write(
      status,
      `${count(fitting)} dead ${fitting === 1 ? "letter fits" : "letters fit"}${fitting > shown.length ? `, the oldest ${count(shown.length)} are shown` : ""}`,
    );
    for (const [part, many] of Object.entries(counts.by)) bar.offer(part, optionsOf(many));
    drawActs();
  }

  function drawActs() {
    const many = chosen.size || Math.min(fitting, MOST_AT_ONCE);
    const which = chosen.size
      ? `${count(many)} chosen`
      : fitting > many
        ? `the oldest ${count(many)}`
        : `all ${count(many)}`;
    const open = many > 0 && bar.values().replayed !== "true";
    const act = (text, kind, work) => h("button", { type: "button", class: kind, on: { click: work } }, text);
    renew(
      acts,
      open && may.replay ? act(`Replay ${which}…`, "", () => actOn(replayLetters)) : null,
      open && may.drop ? act(`Drop ${which}…`, "danger", () => actOn(dropLetters)) : null,
    );
  }

  async function actOn(work) {
    const numbers = chosen.size ? [...chosen] : await numbersOf();
    if (!numbers.length || !(await work(numbers, signal))) return;
    forget();
    await refresh();
  }

  /** Those that the filter finds now: what comes later is not meant. */
  async function numbersOf() {
    const { entries } = await get("/dead", { query: { ...wanted(), limit: MOST_AT_ONCE }, signal });
    return entries.map((letter) => letter.number);
  }

  function forget() {
    chosen.clear();
    for (const input of list.element.querySelectorAll("input:checked")) input.checked = false;
    drawActs();
  }
}

function fieldsOf(me) {
  const text = { name: "text", label: "Search tasks, errors, tracebacks", type: "search" };
  const select = (name, label) => ({ name, label, type: "select", options: [{ value: "", label }] });
  return [
    ...(me.acts.includes("read dead letter") ? [text] : []),
    select("queue", "All queues"),
    select("task", "All tasks"),
    select("broker", "All brokers"),
    { name: "since", label: "Since", type: "select", options: SINCE },
    { name: "replayed", label: "Which", type: "select", options: WHICH },
    { name: "reason", label: "By cause", type: "one" },
  ];
}

function optionsOf(counts) {
  return Object.entries(counts).map(([value, many]) => ({ value, label: value, count: many }));
}

function box(chosen, changed) {
  const cell = (_, latest) => {
    const choose = (event) => {
      if (event.target.checked) chosen.add(latest().number);
      else chosen.delete(latest().number);
      changed();
    };
    return h("input", {
      type: "checkbox",
      "aria-label": `Choose dead letter ${latest().number}`,
      on: { change: choose },
    });
  };
  return { key: "box", title: "Chosen", hidden: true, cell };
}

function columnsOf() {
  return [
    { key: "number", title: "Letter", link: true, cell: (letter) => `#${letter.number}` },
    { key: "task", title: "Task", cell: (letter) => letter.task ?? "(not known)" },
    { key: "reason", title: "Cause", cell: reasonCell },
    {
      key: "detail",
      title: "What was wrong",
      minor: true,
      cell: (letter) => h("span", { class: "cut", title: letter.detail }, letter.detail ?? ""),
    },
    { key: "queue", title: "Queue", cell: (letter) => letter.queue },
    { key: "broker", title: "Broker", minor: true, cell: (letter) => brokerMark(letter.broker) },
    { key: "died", title: "Died", cell: (letter) => when(letter.died_at) },
    { key: "replays", title: "Replays", numeric: true, minor: true, cell: (letter) => letter.replays || "" },
  ];
}

function reasonCell(letter) {
  const more = [letter.edited && badge("edited", "busy"), letter.replayed_at && badge("replayed", "good")].filter(
    Boolean,
  );
  const reason = badge(letter.reason, "bad");
  return more.length ? h("span", { class: "chips" }, reason, more) : reason;
}

/** The history of tasks: searched, followed at its head, read on page by page. */

import { get } from "../lib/api.js";
import { asking } from "../lib/asking.js";
import { h, replace, write } from "../lib/dom.js";
import { askQueues } from "../lib/fleet.js";
import { SINCE, filters, instantOf } from "../lib/filters.js";
import { brokerMark, count, seconds, when } from "../lib/format.js";
import { every } from "../lib/live.js";
import { renew } from "../lib/renew.js";
import { table } from "../lib/table.js";
import { TASK_STATES, taskState } from "../lib/task_states.js";

export const title = "Tasks";

const PAGE = 50;
const MOST_KEPT = 2000;
const EVERY_SECONDS = 2;

/**
 * Show the page.
 *
 * @param {HTMLElement} main - Where it goes.
 * @param {object} context - As the app gives it to every page.
 */
export async function show(main, { query, signal, me, setQuery }) {
  const names = new Set();
  let known = new Map();
  let older = null;
  let turn = 0;
  let stopped = null;

  const bar = filters(fieldsOf(me), query, begin);
  const status = h("span", { class: "muted", role: "status" });
  const notice = h("div", null);
  const live = h(
    "button",
    { type: "button", class: "small choice", "aria-pressed": "true", on: { click: toggleLive } },
    "Live",
  );
  const more = h("button", { type: "button", hidden: true, on: { click: () => readOn() } }, "Older tasks");
  const list = table({
    caption: "Tasks, the newest first",
    columns: columnsOf(),
    key: (task) => task.id,
    href: (task) => `#/tasks/${encodeURIComponent(task.id)}`,
    empty:
      "No task of the history fits. It keeps what the recorder heard, for as long as YARD_HISTORY_EXPIRE_DAYS says.",
  });
  const head = h("div", { class: "toolbar" }, status, h("span", { class: "space" }), live);
  replace(
    main,
    notice,
    h("div", { class: "panel" }, bar.element),
    head,
    h("div", { class: "panel" }, list.element),
    h("p", { class: "more" }, more),
  );

  const refresh = asking(readHead, signal);
  const readOn = asking(readOlder, signal);
  every(EVERY_SECONDS, follow, signal);
  signal.addEventListener("abort", () => stopped?.resolve());
  offerQueues();

  /** While the list is stopped nothing is asked, and so nothing is said to be fresh. */
  async function follow() {
    await stopped?.promise;
    if (!signal.aborted) await readHead();
  }

  function toggleLive() {
    stopped?.resolve();
    stopped = stopped ? null : Promise.withResolvers();
    live.setAttribute("aria-pressed", !stopped);
  }

  function begin() {
    setQuery(bar.values());
    known = new Map();
    older = null;
    turn += 1;
    refresh();
  }

  function wanted() {
    const { since, ...values } = bar.values();
    return { ...values, since: instantOf(since), brief: true, limit: PAGE };
  }

  async function readHead() {
    const asked = turn;
    const found = await get("/tasks", { query: wanted(), signal });
    if (asked !== turn) return;
    join(found);
    tell(found.history);
  }

  /** Put a new head before what is known; where it does not reach down to that, there would be a gap, and all is anew. */
  function join({ entries, after }) {
    const meets = after === null || !known.size || entries.some((task) => known.has(task.id));
    const last = entries.at(-1);
    const below = (task) =>
      after !== null && (task.first_at < last.first_at || (task.first_at === last.first_at && task.id < last.id));
    const kept = meets && known.size <= MOST_KEPT ? [...known.values()].filter(below) : [];
    if (!kept.length) older = after;
    known = new Map([...entries, ...kept].map((task) => [task.id, task]));
  }

  async function readOlder() {
    const asked = turn;
    const found = await get("/tasks", { query: { ...wanted(), after: older }, signal });
    if (asked !== turn) return;
    for (const task of found.entries) known.set(task.id, task);
    older = found.after;
    draw();
  }

  function tell(history) {
    const trouble = history.at_work
      ? null
      : h(
          "p",
          { class: "problem" },
          "No recorder is at work: what happens now is not in this list. Start one: ",
          h("code", null, "yard recorder"),
        );
    const lost = history.dropped
      ? h("p", { class: "problem" }, `${count(history.dropped)} tasks are missing: the ledger was away for too long.`)
      : null;
    renew(notice, trouble, lost);
    draw();
  }

  function draw() {
    list.update([...known.values()]);
    more.hidden = older === null;
    write(
      status,
      `${count(known.size)} ${known.size === 1 ? "task" : "tasks"}${older === null ? "" : ", and older ones"}`,
    );
    const before = names.size;
    for (const task of known.values()) if (task.name) names.add(task.name);
    if (names.size !== before)
      bar.offer(
        "name",
        [...names].sort().map((name) => ({ value: name, label: name })),
      );
  }

  async function offerQueues() {
    const { entries } = await askQueues({ signal }).catch(() => ({ entries: [] }));
    bar.offer(
      "queue",
      entries.map(({ name }) => ({ value: name, label: name })),
    );
  }
}

function fieldsOf(me) {
  const all = (label) => ({ value: "", label });
  const text = { name: "text", label: "Search ids, names, arguments, errors", type: "search" };
  return [
    ...(me.acts.includes("read task") ? [text] : []),
    {
      name: "name",
      label: "Task",
      type: me.acts.includes("read task") ? "text" : "search",
      placeholder: "Task, as email.send",
    },
    { name: "queue", label: "Queue", type: "select", options: [all("All queues")] },
    {
      name: "broker",
      label: "Broker",
      type: "select",
      options: [all("All brokers"), ...me.brokers.map((name) => ({ value: name, label: name }))],
    },
    { name: "worker", label: "Worker", type: "text" },
    { name: "since", label: "Since", type: "select", options: SINCE },
    {
      name: "state",
      label: "Only tasks in these states",
      type: "many",
      options: TASK_STATES.map((name) => ({ value: name, label: name })),
    },
  ];
}

function columnsOf() {
  return [
    { key: "name", title: "Task", cell: (task) => task.name ?? "(not known)" },
    { key: "state", title: "State", cell: (task) => taskState(task.state) },
    { key: "broker", title: "Broker", minor: true, cell: (task) => brokerMark(task.broker) },
    { key: "queue", title: "Queue", minor: true, cell: (task) => task.queue },
    { key: "worker", title: "Worker", minor: true, cell: (task) => task.worker },
    {
      key: "ran",
      title: "Ran",
      numeric: true,
      minor: true,
      cell: (task) => (task.seconds === null ? "" : seconds(task.seconds)),
    },
    { key: "retries", title: "Retries", numeric: true, minor: true, cell: (task) => task.retries || "" },
    { key: "error", title: "Error", minor: true, cell: (task) => h("span", { class: "cut" }, task.exception ?? "") },
    { key: "first", title: "First seen", cell: (task) => when(task.first_at) },
    {
      key: "id",
      title: "Id",
      minor: true,
      cell: (task) => h("code", { class: "muted", title: task.id }, task.id.slice(0, 8)),
    },
  ];
}

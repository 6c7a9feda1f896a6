/** The schedule: what runs by the clock, when it ran and will; entries are paused, resumed, run now. */

import { get, send } from "../lib/api.js";
import { asking } from "../lib/asking.js";
import { attempt, confirm } from "../lib/dialogs.js";
import { h, replace } from "../lib/dom.js";
import { badge, brokerMark, seconds, when } from "../lib/format.js";
import { every } from "../lib/live.js";
import { renew } from "../lib/renew.js";
import { table } from "../lib/table.js";
import { taskState } from "../lib/task_states.js";

export const title = "Schedule";

const FRESH_SECONDS = 5;
const RUNS = 10;

/**
 * Show the page.
 *
 * @param {HTMLElement} main - Where it goes.
 * @param {{query: URLSearchParams, signal: AbortSignal, me: {acts: string[]}, setQuery: (values: object) => void}} context
 */
export async function show(main, { query, signal, me, setQuery }) {
  let chosen = query.get("entry") ?? "";
  let entries = [];
  const runs = runsOf();
  const head = h("div", { class: "head" });
  const history = h("section", { class: "panel", "aria-label": "History", hidden: true }, head, runs.element);

  const load = async () => {
    const told = await get("/schedule", { signal });
    entries = told.entries;
    list.update(entries);
    await loadRuns();
  };
  const loadRuns = async () => {
    const entry = entries.find((each) => each.name === chosen);
    history.hidden = !entry;
    if (!entry) return;
    const all = `#/tasks?name=${encodeURIComponent(entry.task)}`;
    renew(
      head,
      h("h2", null, `Latest runs of ${entry.name}`),
      h("a", { class: "button small", href: all }, "All in tasks"),
    );
    const found = await get("/tasks", { query: { name: entry.task, limit: RUNS }, signal });
    if (entry.name === chosen) runs.update(found.entries);
  };
  const refresh = asking(load, signal);
  const choose = (name) => {
    chosen = chosen === name ? "" : name;
    setQuery({ entry: chosen });
    refresh();
  };
  const act = async (entry, name) => {
    if (name === "run" && !(await isSure(entry))) return;
    const done = await attempt(
      () => send("POST", `/schedule/${encodeURIComponent(entry.name)}/${name}`),
      DONE[name](entry),
    );
    if (done) refresh();
  };
  const list = listOf(me, { act, choose });
  replace(main, h("section", { class: "panel", "aria-label": "Entries" }, list.element), history);
  every(FRESH_SECONDS, load, signal);
}

const DONE = {
  pause: ({ name }) => `${name} is paused: it is left out until it is resumed.`,
  resume: ({ name }) => `${name} runs again, from its next time on.`,
  run: ({ name }) => `${name} was published; its next time stays as it is.`,
};

function isSure({ name, task, paused, queue }) {
  const whether = paused ? " It is paused, and runs this once all the same." : "";
  const text = [
    h("code", null, task),
    ` is published to ${queue ?? "its queue"} now. Its next time stays as it is.${whether}`,
  ];
  return confirm({ title: `Run ${name} now?`, text: h("span", null, text), act: "Run now" });
}

function listOf(me, { act, choose }) {
  const may = (name) => me.acts.includes(`${name} schedule entry`);
  const button = (label, name, latest) =>
    h("button", { type: "button", class: "small", on: { click: () => act(latest(), name) } }, label);
  const acts = (entry, latest) => {
    const other = entry.paused ? "resume" : "pause";
    return h(
      "div",
      { class: "acts" },
      may(other) ? button(entry.paused ? "Resume" : "Pause", other, latest) : null,
      may("run") ? button("Run now", "run", latest) : null,
      h("button", { type: "button", class: "small ghost", on: { click: () => choose(latest().name) } }, "History"),
    );
  };
  return table({
    caption: "Entries of the schedule",
    columns: [
      { key: "name", title: "Entry", cell: nameOf, sort: (entry) => entry.name },
      { key: "schedule", title: "When", cell: (entry) => h("code", null, entry.schedule) },
      { key: "next", title: "Next", cell: nextOf, sort: (entry) => entry.next_run },
      { key: "last", title: "Last", cell: (entry) => when(entry.last_run), sort: (entry) => entry.last_run },
      { key: "broker", title: "Broker", minor: true, cell: (entry) => brokerMark(entry.broker) },
      { key: "acts", title: "Acts", hidden: true, cell: acts },
    ],
    key: (entry) => entry.name,
    mood: (entry) => (entry.paused ? "paused" : ""),
    empty: ["The schedule has no entries: they stand in ", h("code", null, "services/core/schedule.py"), "."],
  });
}

function nameOf(entry) {
  return h("div", { class: "two" }, h("span", null, entry.name), h("small", null, entry.task));
}

function nextOf(entry) {
  if (entry.paused) {
    const since = h("small", null, `by ${entry.paused.by}, `, when(entry.paused.at));
    return h("div", { class: "two" }, h("span", null, badge("paused", "warn")), since);
  }
  return entry.next_run ? when(entry.next_run) : h("span", { class: "muted" }, "no beat took it up yet");
}

function runsOf() {
  return table({
    caption: "Latest runs",
    columns: [
      { key: "begun", title: "Published", cell: (task) => when(task.sent_at ?? task.first_at) },
      { key: "state", title: "State", cell: (task) => taskState(task.state) },
      { key: "took", title: "Took", numeric: true, cell: (task) => seconds(task.seconds) },
      { key: "worker", title: "Worker", minor: true, cell: (task) => task.worker },
      { key: "id", title: "Task", minor: true, cell: (task) => h("code", null, task.id) },
    ],
    key: (task) => task.id,
    href: (task) => `#/tasks/${encodeURIComponent(task.id)}`,
    empty: "The history knows of no run.",
  });
}

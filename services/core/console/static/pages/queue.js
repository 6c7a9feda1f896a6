/** One queue. */

import { get, Problem } from "../lib/api.js";
import { sparkline } from "../lib/charts.js";
import { h, replace, write } from "../lib/dom.js";
import { ASK_EVERY, askQueues, slotsOf, stateOfQueue, trendOf } from "../lib/fleet.js";
import { brokerColour, brokerMark, count, seconds, UNKNOWN, when } from "../lib/format.js";
import { every } from "../lib/live.js";
import { pauseOrResume, purge } from "../lib/queue_acts.js";
import { table } from "../lib/table.js";

export const title = "Queue";

const PRIORITIES = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0];
const PEEKED = 20;
const SOURCES = {
  broker: "Read from the broker, in the order in which they go out. None is delivered by it.",
  history: "This broker shows a message to nobody without delivering it: these were sent, and not heard of since.",
};

/**
 * Show how a queue stands, what waits in it, and what can be done with it.
 *
 * @param {HTMLElement} main
 * @param {{params: {name: string}, signal: AbortSignal, me: {acts: string[]}, heading: Function}} context
 */
export async function show(main, { params, signal, me, heading }) {
  const name = params.name;
  heading(name, { text: "Queues", href: "#/queues" });
  const refresh = async (fresh = false) => {
    const queue = (await askQueues({ signal, fresh })).entries.find((each) => each.name === name);
    if (!queue) throw new Problem({ status: 404, title: "Not Found", detail: `There is no queue ${name}.` });
    for (const part of parts) part.update(queue);
  };
  const peek = me.acts.includes("peek at queue") ? peekPanel(name, signal) : null;
  const parts = [toolbar(me, () => Promise.all([refresh(true), peek?.look()])), numbers(name), priorities()];
  await refresh();
  replace(
    main,
    parts.map((part) => part.element),
    peek?.element,
  );
  peek?.look();
  every(ASK_EVERY, () => refresh(), signal);
}

function toolbar(me, changed) {
  let queue = null;
  const state = h("span", { class: "toolbar" });
  const act = (work) => async () => (await work(queue)) && changed();
  const toggle = h("button", { type: "button", on: { click: act(pauseOrResume) } });
  const clear = h("button", { type: "button", class: "danger", on: { click: act(purge) } }, "Purge…");
  const acts = [me.acts.includes("pause queue") && toggle, me.acts.includes("purge queue") && clear];
  const tasks = h("a", { class: "button" }, "Its tasks");
  const dead = me.acts.includes("read") ? h("a", { class: "button" }, "Its dead letters") : null;
  const element = h("div", { class: "toolbar" }, state, h("span", { class: "space" }), tasks, dead, acts);
  const update = (now) => {
    queue = now;
    const paused = now.paused ? h("span", { class: "muted" }, `by ${now.paused.by}, `, when(now.paused.at)) : null;
    replace(
      state,
      brokerMark(now.broker),
      stateOfQueue(now),
      paused,
      now.pauses_known ? null : h("span", { class: "muted" }, "Whether it is paused is not known."),
    );
    write(toggle, now.paused ? "Resume" : "Pause");
    toggle.disabled = !now.pauses_known;
    clear.disabled = !now.up;
    tasks.href = `#/tasks?queue=${encodeURIComponent(now.name)}`;
    if (dead) dead.href = `#/dead?queue=${encodeURIComponent(now.name)}`;
  };
  return { element, update };
}

function numbers(name) {
  const cells = Object.fromEntries(
    ["Ready", "Held by workers", "Delayed", "Oldest has waited", "Workers"].map((label) => [
      label,
      h("span", { class: "number" }, UNKNOWN),
    ]),
  );
  const chart = h("div", { class: "chart" });
  const stats = Object.entries(cells).map(([label, number]) =>
    h("div", { class: "stat" }, h("span", { class: "label" }, label), number),
  );
  const element = h(
    "section",
    { class: "panel" },
    h("div", { class: "body" }, chart),
    h("div", { class: "stats" }, stats),
  );
  const update = (queue) => {
    const values = [
      count(queue.ready),
      count(queue.unacknowledged),
      count(queue.delayed),
      queue.ready === 0 ? "0 s" : seconds(queue.oldest_seconds),
      count(queue.consumers),
    ];
    Object.values(cells).forEach((number, place) => write(number, values[place]));
    chart.style.setProperty("--colour", brokerColour(queue.broker));
    replace(
      chart,
      sparkline(trendOf(name), {
        label: "Ready messages, the last minutes",
        width: 900,
        height: 64,
        slots: slotsOf(trendOf(name)),
      }),
    );
  };
  return { element, update };
}

function priorities() {
  const list = h("dl", { class: "priorities" });
  const element = h(
    "section",
    { class: "panel" },
    h("div", { class: "head" }, h("h2", null, "Ready by priority"), h("span", { class: "muted" }, "9 goes out first")),
    h("div", { class: "body" }, list),
  );
  const update = (queue) => {
    const told = Object.values(queue.by_priority);
    element.hidden = !queue.up || !told.length;
    const most = Math.max(1, ...told);
    replace(
      list,
      PRIORITIES.map((priority) => {
        const number = queue.by_priority[priority] ?? 0;
        const share = { "--share": `${(number / most) * 100}%` };
        return h(
          "div",
          { class: number ? null : "none-there" },
          h("dt", null, priority),
          h("dd", null, h("span", { class: "fill", style: share }), h("span", null, count(number))),
        );
      }),
    );
  };
  return { element, update };
}

function peekPanel(name, signal) {
  const note = h("p", { class: "help" });
  const nothing = h("span", null);
  const waiting = table({
    caption: "What waits in the queue",
    columns: [
      { key: "task", title: "Task", cell: taskCell },
      { key: "priority", title: "Priority", numeric: true, cell: (task) => count(task.priority) },
      { key: "published", title: "Sent", cell: (task) => when(task.published_at) },
      { key: "eta", title: "Not before", minor: true, cell: (task) => (task.eta ? when(task.eta) : "") },
      {
        key: "args",
        title: "Arguments",
        cell: (task) => h("code", { class: "clip", title: argumentsOf(task) }, argumentsOf(task)),
      },
    ],
    key: (task) => task.id || `at ${task.place}`,
    href: (task) => (task.id ? `#/tasks/${encodeURIComponent(task.id)}` : null),
    empty: nothing,
  });
  const again = h("button", { type: "button", class: "small", on: { click: () => look() } }, "Look again");
  const element = h(
    "section",
    { class: "panel", "aria-label": "Peek" },
    h("div", { class: "head" }, h("h2", null, "What goes out next"), note, again),
    waiting.element,
  );

  async function look() {
    again.disabled = true;
    try {
      const { tasks, source } = await get(`/queues/${encodeURIComponent(name)}/peek`, {
        query: { limit: PEEKED },
        signal,
      });
      write(note, SOURCES[source]);
      write(nothing, source === "broker" ? "Nothing waits here." : "The history knows of none that waits.");
      waiting.update(tasks.map((task, place) => ({ ...task, place })));
    } catch (error) {
      if (!signal.aborted) write(note, error.detail ?? error.message);
    } finally {
      again.disabled = false;
    }
  }

  return { element, look };
}

function taskCell(task) {
  return h("div", null, h("span", null, task.name ?? "(can't be read)"), h("code", { class: "under" }, task.id));
}

function argumentsOf(task) {
  const given = [task.args, task.kwargs].filter((text) => text && text !== "()" && text !== "{}");
  return given.join(" ");
}

/** All queues of all brokers. */

import { h, replace, write } from "../lib/dom.js";
import { ASK_EVERY, askQueues, stateOfQueue, sum, trendCell, waitOf } from "../lib/fleet.js";
import { brokerMark, count } from "../lib/format.js";
import { every } from "../lib/live.js";
import { pauseOrResume } from "../lib/queue_acts.js";
import { table } from "../lib/table.js";

export const title = "Queues";

const ONLY = {
  waiting: {
    text: "with messages",
    fits: (queue) => !queue.up || queue.ready + queue.unacknowledged + queue.delayed > 0,
  },
  paused: { text: "paused", fits: (queue) => queue.paused },
  unserved: { text: "without a worker", fits: (queue) => queue.consumers === 0 },
};

/**
 * List the queues, with filters that the address keeps.
 *
 * @param {HTMLElement} main
 * @param {{query: URLSearchParams, signal: AbortSignal, me: object, setQuery: Function}} context
 */
export async function show(main, { query, signal, me, setQuery }) {
  const search = h("input", {
    type: "search",
    placeholder: "Search queues",
    "aria-label": "Search queues",
    value: query.get("text") ?? "",
  });
  const broker = select(
    "Broker",
    [["", "All brokers"], ...me.brokers.map((name) => [name, name])],
    query.get("broker"),
  );
  const only = select(
    "Which",
    [["", "All queues"], ...Object.entries(ONLY).map(([name, { text }]) => [name, `Only ${text}`])],
    query.get("only"),
  );
  const told = h("span", { class: "muted" });
  let queues = [];

  const refresh = async (fresh = false) => {
    queues = (await askQueues({ signal, fresh })).entries;
    draw();
  };
  const grid = table({
    caption: "Queues",
    columns: columnsOf(me, async (queue) => (await pauseOrResume(queue)) && refresh(true)),
    key: (queue) => queue.name,
    href: (queue) => `#/queues/${encodeURIComponent(queue.name)}`,
    mood: (queue) => (queue.up ? "" : "unknown"),
    empty: "No queue fits the filters.",
  });

  function draw() {
    const text = search.value.trim().toLowerCase();
    const fits = ONLY[only.value]?.fits ?? (() => true);
    const found = queues.filter(
      (queue) =>
        (!broker.value || queue.broker === broker.value) &&
        fits(queue) &&
        `${queue.name} ${queue.service}`.toLowerCase().includes(text),
    );
    grid.update(found);
    write(told, `${count(found.length)} of ${count(queues.length)} queues, ${count(sum(found, "ready"))} ready`);
  }

  for (const field of [search, broker, only]) {
    field.addEventListener("input", () => {
      setQuery({ text: search.value.trim(), broker: broker.value, only: only.value });
      draw();
    });
  }
  replace(
    main,
    h("div", { class: "toolbar" }, search, broker, only, h("span", { class: "space" }), told),
    h("div", { class: "panel" }, grid.element),
  );
  every(ASK_EVERY, () => refresh(), signal);
}

function columnsOf(me, toggle) {
  const columns = [
    { key: "name", title: "Queue", cell: (queue) => queue.name, sort: (queue) => queue.name },
    {
      key: "broker",
      title: "Broker",
      minor: true,
      cell: (queue) => brokerMark(queue.broker),
      sort: (queue) => queue.broker,
    },
    { key: "ready", title: "Ready", numeric: true, cell: (queue) => count(queue.ready), sort: (queue) => queue.ready },
    {
      key: "held",
      minor: true,
      title: "Held",
      numeric: true,
      cell: (queue) => count(queue.unacknowledged),
      sort: (queue) => queue.unacknowledged,
    },
    {
      key: "delayed",
      minor: true,
      title: "Delayed",
      numeric: true,
      cell: (queue) => count(queue.delayed),
      sort: (queue) => queue.delayed,
    },
    {
      key: "wait",
      title: "Oldest",
      numeric: true,
      cell: waitOf,
      sort: (queue) => queue.oldest_seconds,
    },
    { key: "trend", title: "Ready, last minutes", minor: true, cell: trendCell },
    {
      key: "consumers",
      minor: true,
      title: "Workers",
      numeric: true,
      cell: (queue) => count(queue.consumers),
      sort: (queue) => queue.consumers,
    },
    { key: "state", title: "State", cell: stateOfQueue, sort: (queue) => stateOfQueue(queue).textContent },
  ];
  const mayPause = me.acts.includes("pause queue") && me.acts.includes("resume queue");
  if (mayPause) {
    const cell = (queue, latest) => {
      if (!queue.pauses_known) return "";
      const text = queue.paused ? "Resume" : "Pause";
      return h(
        "button",
        {
          type: "button",
          class: "small",
          "aria-label": `${text} ${queue.name}`,
          on: { click: () => toggle(latest()) },
        },
        text,
      );
    };
    columns.push({ key: "act", title: "Acts", hidden: true, cell });
  }
  return columns;
}

function select(label, options, value) {
  return h(
    "select",
    { "aria-label": label, value: value ?? "" },
    options.map(([name, text]) => h("option", { value: name }, text)),
  );
}

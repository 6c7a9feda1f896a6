/** All workers of all brokers. */

import { get, send } from "../lib/api.js";
import { bar } from "../lib/charts.js";
import { attempt, confirm, form } from "../lib/dialogs.js";
import { h, replace, write } from "../lib/dom.js";
import { badge, brokerMark, bytes, count, seconds, UNKNOWN } from "../lib/format.js";
import { every } from "../lib/live.js";
import { table } from "../lib/table.js";

export const title = "Workers";

const ASK_EVERY = 3;
const LEFT = "switchyard.left.";

/**
 * List the workers that answer, and what each runs now.
 *
 * @param {HTMLElement} main
 * @param {{query: URLSearchParams, signal: AbortSignal, me: {acts: string[]}, setQuery: Function}} context
 */
export async function show(main, { query, signal, me, setQuery }) {
  const search = h("input", {
    type: "search",
    placeholder: "Search workers, queues, tasks",
    "aria-label": "Search workers, queues, tasks",
    value: query.get("text") ?? "",
  });
  const told = h("span", { class: "muted" });
  const silent = h("ul", { class: "concerns", hidden: true });
  let found = { entries: [], not_asked: {} };

  const refresh = async (fresh = false) => {
    found = await get("/workers", { query: { fresh: fresh || null }, signal });
    draw();
  };
  const workers = workersTable(me, () => refresh(true));
  const running = runningTable(me);

  function draw() {
    const text = search.value.trim().toLowerCase();
    const shown = found.entries.filter((worker) => wordsOf(worker).includes(text));
    const tasks = shown.flatMap((worker) =>
      worker.running.map((task) => ({ ...task, worker: worker.name, broker: worker.broker })),
    );
    workers.update(shown);
    running.update(tasks.sort((one, other) => (one.since ?? Infinity) - (other.since ?? Infinity)));
    write(told, `${count(shown.length)} workers, ${count(tasks.length)} tasks running`);
    silent.hidden = !Object.keys(found.not_asked).length;
    replace(
      silent,
      Object.entries(found.not_asked).map(([broker, why]) =>
        h("li", null, h("span", { class: "bad" }, `The workers of ${broker} could not be asked: ${why}`)),
      ),
    );
  }

  search.addEventListener("input", () => (setQuery({ text: search.value.trim() }), draw()));
  replace(
    main,
    silent,
    h("div", { class: "toolbar" }, search, h("span", { class: "space" }), told),
    h("div", { class: "panel" }, workers.element),
    h("section", { class: "panel" }, h("div", { class: "head" }, h("h2", null, "Running now")), running.element),
  );
  every(ASK_EVERY, () => refresh(), signal);
}

function workersTable(me, changed) {
  const columns = [
    { key: "name", title: "Worker", cell: nameCell, sort: (worker) => worker.name },
    { key: "broker", title: "Broker", cell: (worker) => brokerMark(worker.broker), sort: (worker) => worker.broker },
    { key: "state", title: "State", cell: stateOf },
    { key: "busy", title: "Busy", cell: busyCell, sort: (worker) => worker.running.length },
    { key: "queues", title: "Queues", cell: queuesCell },
    { key: "memory", title: "Memory, most", numeric: true, cell: memoryOf, sort: (worker) => worker.memory_kib },
    { key: "up", title: "Up for", numeric: true, cell: upCell, sort: (worker) => worker.up_seconds },
  ];
  if (me.acts.includes("drain worker")) {
    const cell = (worker, latest) => {
      const [text, act] = worker.queues.length ? ["Drain", drain] : ["Serve again", serveAgain];
      const click = async () => (await act(latest())) && changed();
      return h(
        "button",
        { type: "button", class: "small", "aria-label": `${text} ${worker.name}`, on: { click } },
        text,
      );
    };
    columns.push({ key: "act", title: "Acts", hidden: true, cell });
  }
  return table({
    caption: "Workers",
    columns,
    key: (worker) => `${worker.broker} ${worker.name}`,
    empty: [
      h("h2", null, "No worker answers"),
      h(
        "p",
        null,
        "Start the fleet with ",
        h("code", null, "yard up"),
        ", or a worker with ",
        h("code", null, "celery worker"),
        ".",
      ),
    ],
  });
}

function runningTable(me) {
  const columns = [
    { key: "task", title: "Task", cell: taskCell, sort: (task) => task.name },
    { key: "for", title: "For", numeric: true, cell: (task) => seconds(ageOf(task)), sort: ageOf },
    { key: "worker", title: "Worker", cell: (task) => task.worker, sort: (task) => task.worker },
    { key: "queue", title: "Queue", cell: (task) => task.queue ?? UNKNOWN, sort: (task) => task.queue },
    { key: "broker", title: "Broker", cell: (task) => brokerMark(task.broker), sort: (task) => task.broker },
  ];
  if (me.acts.includes("read task")) {
    const given = (task) => [task.args, task.kwargs].filter((text) => text && text !== "[]" && text !== "{}").join(" ");
    columns.push({
      key: "args",
      title: "Arguments",
      cell: (task) => h("code", { class: "clip", title: given(task) }, given(task)),
    });
  }
  return table({
    caption: "Tasks that run now",
    columns,
    key: (task) => `${task.worker} ${task.id}`,
    href: (task) => `#/tasks/${encodeURIComponent(task.id)}`,
    empty: "Nothing runs at this moment.",
  });
}

function ageOf(task) {
  return task.since === null ? null : Math.max(0, Date.now() / 1000 - task.since);
}

function taskCell(task) {
  return h("div", null, h("span", null, task.name), h("code", { class: "under" }, task.id));
}

function nameCell(worker) {
  const under = [worker.pool, worker.pid === null ? null : `process ${worker.pid}`].filter(Boolean).join(", ");
  return h("div", null, h("span", null, worker.name), h("span", { class: "under" }, under));
}

function memoryOf(worker) {
  return bytes(worker.memory_kib === null ? null : worker.memory_kib * 1024);
}

function stateOf(worker) {
  if (!worker.queues.length) return badge(worker.running.length ? "draining" : "drained", "warn");
  return worker.running.length ? badge("at work", "busy") : badge("idle", "good");
}

function busyCell(worker) {
  const running = worker.running.length;
  const places = worker.processes;
  const text = places === null ? count(running) : `${count(running)} / ${count(places)}`;
  const parts = [{ value: running, tone: "busy", label: "running" }];
  return h(
    "div",
    null,
    h("div", { class: "busy-cell" }, h("span", null, text), places === null ? null : bar(parts, { total: places })),
    h("span", { class: "under" }, `${count(worker.reserved)} reserved`),
  );
}

function upCell(worker) {
  const taken = `${count(worker.done)} ${worker.done === 1 ? "task" : "tasks"} taken`;
  return h("div", null, h("span", null, seconds(worker.up_seconds)), h("span", { class: "under" }, taken));
}

function queuesCell(worker) {
  return h(
    "div",
    { class: "chips" },
    worker.queues.map((name) => h("a", { class: "chip", href: `#/queues/${encodeURIComponent(name)}` }, name)),
  );
}

async function drain(worker) {
  const holds = worker.running.length + worker.reserved;
  const agreed = await confirm({
    title: `Drain ${worker.name}?`,
    text:
      `It takes nothing more, and ends the ${count(holds)} ${holds === 1 ? "task" : "tasks"} that it holds. ` +
      "It stays without queues until it serves again, or is started anew.",
    act: "Drain",
  });
  if (!agreed) return null;
  return attempt(async () => {
    const { left } = await send("POST", `/workers/${encodeURIComponent(worker.name)}/drain`);
    sessionStorage.setItem(LEFT + worker.name, left.join(", "));
  }, `${worker.name} takes nothing more.`);
}

function serveAgain(worker) {
  const value = sessionStorage.getItem(LEFT + worker.name) ?? "";
  const help = `Queues of the broker ${worker.broker}, with commas between them.`;
  return form({
    title: `Have ${worker.name} serve queues again`,
    fields: [{ name: "queues", label: "Queues", value, help, required: true }],
    act: "Serve",
    submit: ({ queues }) =>
      send("POST", `/workers/${encodeURIComponent(worker.name)}/undrain`, {
        body: {
          queues: queues
            .split(",")
            .map((name) => name.trim())
            .filter(Boolean),
        },
      }),
  });
}

function wordsOf(worker) {
  return [worker.name, worker.broker, ...worker.queues, ...worker.running.flatMap((task) => [task.name, task.id])]
    .join(" ")
    .toLowerCase();
}

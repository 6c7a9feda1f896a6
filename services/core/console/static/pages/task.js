/** A task: all that the history knows of it. */

import { get, send } from "../lib/api.js";
import { attempt, form } from "../lib/dialogs.js";
import { h, replace } from "../lib/dom.js";
import { facts, idLink, panel } from "../lib/facts.js";
import { brokerMark, count, when } from "../lib/format.js";
import { every } from "../lib/live.js";
import { renew } from "../lib/renew.js";
import { isUnderWay, taskState } from "../lib/task_states.js";
import { timeline } from "../lib/timeline.js";

export const title = "Task";

const EVERY_SECONDS = 3;

/**
 * Show the page.
 *
 * @param {HTMLElement} main - Where it goes.
 * @param {object} context - As the app gives it to every page.
 */
export async function show(main, { params, signal, me, heading }) {
  const path = `/tasks/${encodeURIComponent(params.id)}`;
  const read = () => get(path, { signal });
  let task = await read();
  let letters = [];
  const top = h("div", { class: "toolbar" });
  const known = h("dl", { class: "facts" });
  const times = h("div", null);
  const said = h("div", { class: "stack" });
  const died = h("div", null);
  replace(main, top, h("div", { class: "grid" }, panel("What is known", known), panel("Times", times)), died, said);
  draw();
  every(EVERY_SECONDS, refresh, signal);

  async function refresh() {
    task = await read();
    if (me.acts.includes("read dead letter")) {
      letters = (await get("/dead", { query: { task_id: task.id }, signal })).entries;
    }
    draw();
  }

  function draw() {
    heading(task.name ?? task.id, { href: "#/tasks", text: "Tasks" });
    renew(top, taskState(task.state), h("code", { class: "muted" }, task.id), h("span", { class: "space" }), actsOf());
    renew(known, factsOf(task));
    renew(times, timeline(task));
    renew(died, letters.length ? panel("Dead letters", h("ul", { class: "step-list" }, letters.map(letterOf))) : null);
    renew(said, ...saidBy(task, me));
  }

  function actsOf() {
    const graph = h(
      "a",
      { class: "button", href: `#/workflows/${encodeURIComponent(task.id)}?step=${encodeURIComponent(task.id)}` },
      "Workflow graph",
    );
    const revoke = h(
      "button",
      { type: "button", class: "danger", on: { click: () => revokeTask(task, refresh) } },
      "Revoke…",
    );
    return [graph, isUnderWay(task.state) && me.acts.includes("revoke task") ? revoke : null];
  }
}

async function revokeTask(task, refresh) {
  const done = await form({
    title: `Revoke ${task.name ?? "the task"}?`,
    text: `No worker will run ${task.id}, wherever it waits. What follows from it does not run either.`,
    fields: [
      { name: "terminate", type: "checkbox", label: "Also end it if it runs, where its pool can", value: false },
    ],
    act: "Revoke",
    danger: true,
    submit: ({ terminate }) => send("POST", `/tasks/${encodeURIComponent(task.id)}/revoke`, { body: { terminate } }),
  });
  if (done) await attempt(refresh, "Every worker that could be told leaves it out.");
}

function factsOf(task) {
  const link = (href, text) => h("a", { href }, text);
  return facts([
    ["Broker", task.broker && brokerMark(task.broker)],
    ["Queue", task.queue && link(`#/queues/${encodeURIComponent(task.queue)}`, task.queue)],
    ["Worker", task.worker && link(`#/tasks?worker=${encodeURIComponent(task.worker)}`, task.worker)],
    ["Retries", count(task.retries ?? 0)],
    ["Not before", task.eta && when(task.eta)],
    ["Workflow", idLink(task.root_id, "workflows")],
    ["Published by", idLink(task.parent_id, "tasks")],
    ["Group", idLink(task.group_id, "workflows")],
    ["Chord body", idLink(task.chord_id, "tasks")],
    ["Then", task.next_steps?.length ? task.next_steps.map(([, name]) => name ?? "?").join(" → ") : null],
  ]);
}

function saidBy(task, me) {
  if (!me.acts.includes("read task")) {
    return [
      panel(
        "Arguments, result, errors",
        h("p", { class: "muted" }, "An operator may read what tasks were given, and what they said."),
      ),
    ];
  }
  const code = (value) => h("pre", { class: "code" }, value);
  const args = [task.args, task.kwargs].filter((text) => text !== null);
  const raised = task.exception && [code(task.exception), task.traceback && code(task.traceback)];
  return [
    raised ? panel(task.state === "failed" ? "Why it failed" : "What it raised last", raised) : null,
    panel("Arguments", args.length ? args.map(code) : h("p", { class: "muted" }, "Nobody told of them.")),
    task.result === null ? null : panel("Result", code(task.result)),
  ];
}

function letterOf(letter) {
  const told = letter.replayed_at ? ["replayed ", when(letter.replayed_at)] : ["died ", when(letter.died_at)];
  return h(
    "li",
    null,
    h("a", { href: `#/dead/${letter.number}` }, `Dead letter ${letter.number}`),
    `: ${letter.reason}, `,
    told,
  );
}

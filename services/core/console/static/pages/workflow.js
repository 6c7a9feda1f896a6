/** A workflow: its graph, live; what is known of a step beside it; its steps as a list. */

import { follow, get } from "../lib/api.js";
import { bar } from "../lib/charts.js";
import { h, replace } from "../lib/dom.js";
import { brokerMark, count, seconds, when } from "../lib/format.js";
import { lasted, summaryOf } from "../lib/graph_nodes.js";
import { graphView } from "../lib/graph_view.js";
import { mark } from "../lib/live.js";
import { renew } from "../lib/renew.js";
import { stepPanel, stepTip } from "../lib/step_panel.js";
import { table } from "../lib/table.js";
import {
  STEP_STATES,
  countStates,
  isUnderWay,
  stateMark,
  taskState,
  textOfTask,
  toneOfTask,
} from "../lib/task_states.js";

export const title = "Workflow";

const TICK_MS = 1000;

/**
 * Show the page.
 *
 * @param {HTMLElement} main - Where it goes.
 * @param {object} context - As the app gives it to every page.
 */
export async function show(main, { params, query, signal, me, setQuery, heading }) {
  const path = `/workflows/${encodeURIComponent(params.id)}`;
  const parent = { href: "#/workflows", text: "Workflows" };
  let known = await get(path, { signal });
  let asList = query.get("view") === "list";
  let wanted = query.get("step");
  let marked = null;
  let lost = null;

  const view = graphView({
    label: "Steps of the workflow. The arrow keys go from step to step, Enter tells more, plus and minus zoom, 0 fits.",
    describe: stepTip,
    onSelect: (node) => tell(node?.steps.length === 1 ? node.steps[0].id : null, node),
    signal,
  });
  const panel = stepPanel({
    me,
    signal,
    close: () => view.select(null),
    unfold: (node) => view.unfold(node),
    choose: (stepId) => tell(stepId, null),
  });
  const list = stepList();
  const progress = h("div", { class: "standing" });
  const key = h("div", {
    class: "key",
    role: "group",
    "aria-label": "Brokers and states; choose one to see where it is",
  });
  const tabs = h("div", { class: "acts", role: "group", "aria-label": "How steps are shown" });
  const body = h(
    "div",
    { class: "panel" },
    h("div", { class: "head" }, progress, tabs),
    view.element,
    list.element,
    key,
  );
  const page = h("div", { class: "workflow" }, body, panel.element);
  replace(main, page);
  showAs(asList);
  update(known);
  if (wanted) choose(wanted);
  follow(`${path}/events`, { signal, onState: update, onLost: (problem) => mark(path, (lost = problem)) });
  const clock = setInterval(tick, TICK_MS);
  signal.addEventListener("abort", () => (clearInterval(clock), mark(path, null)));

  /** What runs tells for how long; that the stream is there is told, too. */
  function tick() {
    if (document.hidden) return;
    if (!lost) mark(path, null);
    if (known.steps.some((step) => step.state === "started")) draw();
  }

  function update(workflow) {
    known = workflow;
    mark(path, null);
    const first = workflow.steps[0];
    heading(first?.name ?? params.id, parent);
    renew(progress, ...progressOf(workflow));
    renew(key, ...keyOf(workflow, marked, dim));
    listSteps();
    draw();
  }

  function draw() {
    view.update(known.steps, known.edges);
    panel.update(known.steps);
  }

  function choose(stepId) {
    view.select(stepId);
    tell(stepId, null);
  }

  function tell(stepId, node) {
    wanted = stepId;
    panel.show(known.steps, stepId, node);
    page.classList.toggle("with-step", !panel.element.hidden);
    keepQuery();
  }

  function dim(choice) {
    marked = choice;
    view.dim(choice && fits);
    listSteps();
    renew(key, ...keyOf(known, marked, dim));
  }

  function fits(step) {
    return !marked || step[marked.part] === marked.value;
  }

  function listSteps() {
    if (asList) list.update(known.steps.filter(fits));
  }

  function showAs(other) {
    asList = other;
    view.element.hidden = other;
    list.element.hidden = !other;
    listSteps();
    const tab = (text, value) =>
      h(
        "button",
        {
          type: "button",
          class: "small choice",
          "aria-pressed": String(asList === value),
          on: { click: () => (showAs(value), keepQuery()) },
        },
        text,
      );
    renew(tabs, tab("Graph", false), tab("List", true));
  }

  function keepQuery() {
    setQuery({ step: wanted, view: asList ? "list" : "" });
  }
}

function stepList() {
  return table({
    caption: "Steps, in the order in which they were first heard of",
    columns: [
      { key: "name", title: "Step", cell: (step) => step.name ?? step.id, sort: (step) => step.name },
      {
        key: "state",
        title: "State",
        cell: (step) => taskState(step.state),
        sort: (step) => STEP_STATES.indexOf(step.state),
      },
      { key: "broker", title: "Broker", cell: (step) => brokerMark(step.broker), sort: (step) => step.broker },
      { key: "queue", title: "Queue", minor: true, cell: (step) => step.queue, sort: (step) => step.queue },
      { key: "worker", title: "Worker", minor: true, cell: (step) => step.worker },
      { key: "ran", title: "Ran", numeric: true, cell: (step) => seconds(lasted(step)), sort: lasted },
      {
        key: "retries",
        title: "Retries",
        numeric: true,
        minor: true,
        cell: (step) => step.retries || "",
        sort: (step) => step.retries,
      },
      { key: "error", title: "Error", minor: true, cell: (step) => (step.exception ?? "").slice(0, 80) },
    ],
    key: (step) => step.id,
    href: (step) =>
      step.state === "pending" || step.state === "skipped" ? null : `#/tasks/${encodeURIComponent(step.id)}`,
    empty: "No steps.",
  });
}

function progressOf({ steps, complete }) {
  const counts = countStates(steps);
  const parts = [...counts]
    .reverse()
    .map((each) => ({ value: each.count, tone: toneOfTask(each.state), label: each.state }));
  const begun = Math.min(...steps.map((step) => step.sent_at ?? step.started_at ?? Infinity));
  const ended = Math.max(...steps.map((step) => step.ended_at ?? 0));
  const over = !steps.some((step) => isUnderWay(step.state));
  const took =
    Number.isFinite(begun) && over && ended ? `took ${seconds(Math.max(0, ended - begun))}, begun ` : "begun ";
  return [
    h("strong", null, `${count(steps.length)} ${steps.length === 1 ? "step" : "steps"}`),
    h("span", null, summaryOf(counts)),
    Number.isFinite(begun) ? h("span", { class: "muted" }, took, when(begun)) : null,
    complete ? null : h("span", { class: "badge warn" }, "Only the first 5,000 steps are drawn"),
    bar(parts),
  ].filter(Boolean);
}

function keyOf({ steps }, marked, dim) {
  const choice = (part, value, content) => {
    const pressed = marked?.part === part && marked.value === value;
    const number = steps.reduce((sum, step) => sum + (step[part] === value), 0);
    const act = () => dim(pressed ? null : { part, value });
    return h(
      "button",
      { type: "button", "aria-pressed": String(pressed), on: { click: act } },
      content,
      " ",
      h("strong", null, count(number)),
    );
  };
  const brokers = [...new Set(steps.map((step) => step.broker))].sort();
  return [
    ...brokers.map((name) => choice("broker", name, name ? brokerMark(name) : "broker not known")),
    h("span", { class: "between" }),
    ...countStates(steps).map(({ state }) => choice("state", state, [stateMark(state), textOfTask(state)])),
  ];
}

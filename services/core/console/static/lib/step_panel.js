/** What is told of a step of a workflow, or of several that are drawn as one: beside the graph, and where one points. */

import { get } from "./api.js";
import { h, replace } from "./dom.js";
import { facts } from "./facts.js";
import { brokerMark, count, seconds } from "./format.js";
import { lasted, noteOf, summaryOf } from "./graph_nodes.js";
import { countStates, stateMark, taskState, textOfTask, WORST_FIRST } from "./task_states.js";
import { timeline } from "./timeline.js";

const MOST_MEMBERS = 60;

/**
 * Tell of a node in a few words.
 *
 * @param {{steps: object[]}} node
 * @returns {Node[]}
 */
export function stepTip({ steps }) {
  const [step] = steps;
  const failed = steps.find((each) => each.exception && each.state === "failed");
  const name = step.name ?? step.id;
  if (steps.length > 1) {
    const told = [
      h("strong", null, `${count(steps.length)} × ${name}`),
      brokerMark(step.broker),
      h("div", null, summaryOf(countStates(steps))),
    ];
    return [...told, failed ? h("div", { class: "why" }, failed.exception) : null].filter(Boolean);
  }
  const waited =
    step.sent_at && step.started_at ? `, waited ${seconds(Math.max(0, step.started_at - step.sent_at))}` : "";
  const ran = lasted(step) === null ? "" : `, ran ${seconds(lasted(step))}`;
  const tries = step.retries ? `, ${step.retries} ${step.retries === 1 ? "retry" : "retries"}` : "";
  return [
    h("strong", null, name),
    h("div", null, brokerMark(step.broker), step.queue ? ` · ${step.queue}` : ""),
    h("div", null, `${textOfTask(step.state)}${waited}${ran}${tries}`),
    step.exception ? h("div", { class: "why" }, step.exception) : null,
  ].filter(Boolean);
}

/**
 * Make the panel beside a graph.
 *
 * @param {{me: {acts: string[]}, signal: AbortSignal, close: () => void, unfold: (node: object) => void,
 *   choose: (stepId: string) => void}} options
 * @returns {{element: HTMLElement, show: (steps: object[], stepId: string|null, node: object|null) => void,
 *   update: (steps: object[]) => void}}
 */
export function stepPanel({ me, signal, close, unfold, choose }) {
  const element = h("aside", { class: "panel", "aria-label": "The chosen step", hidden: true });
  let chosen = null;
  let members = null;
  let told = "";
  let letter = null;

  function show(steps, stepId, node) {
    chosen = stepId;
    members = node && node.steps.length > 1 ? new Set(node.steps.map((step) => step.id)) : null;
    letter = null;
    told = "";
    update(steps);
    element.scrollTop = 0;
    if (stepId)
      findLetter(
        steps.find((step) => step.id === stepId),
        steps,
      );
  }

  function update(steps) {
    const step = chosen === null ? null : steps.find((each) => each.id === chosen);
    const several = members ? steps.filter((each) => members.has(each.id)) : [];
    element.hidden = !step && !several.length;
    const runs = [step, ...several].some((each) => each?.state === "started");
    const next = JSON.stringify([step, several, letter, runs && Math.floor(Date.now() / 1000)]);
    if (next === told) return;
    told = next;
    const held = element.contains(document.activeElement) ? document.activeElement.textContent : null;
    if (step) replace(element, ...ofOne(step));
    else if (several.length) replace(element, ...ofSeveral(several));
    if (held) [...element.querySelectorAll("a, button")].find((each) => each.textContent === held)?.focus();
  }

  async function findLetter(step, steps) {
    if (!step || step.state !== "failed" || !me.acts.includes("read dead letter")) return;
    const { entries } = await get("/dead", { query: { task_id: step.id }, signal }).catch(() => ({ entries: [] }));
    if (chosen !== step.id || signal.aborted) return;
    letter = entries.at(-1) ?? null;
    update(steps);
  }

  function head(text) {
    const shut = h(
      "button",
      { type: "button", class: "ghost small", "aria-label": "Close", on: { click: close } },
      "×",
    );
    return h("div", { class: "head" }, h("h2", null, text), shut);
  }

  function ofOne(step) {
    const published = step.state !== "pending" && step.state !== "skipped";
    const link = (href, text) => h("a", { class: "button small", href }, text);
    return [
      head(step.name ?? step.id),
      h(
        "div",
        { class: "body" },
        h(
          "div",
          { class: "acts" },
          taskState(step.state),
          h("span", { class: "muted" }, noteOf(step, Date.now() / 1000)),
        ),
        h("dl", { class: "facts" }, factsOf(step)),
        published ? timeline(step) : null,
        step.exception ? h("pre", { class: "code" }, step.exception) : null,
        h(
          "div",
          { class: "acts" },
          published ? link(`#/tasks/${encodeURIComponent(step.id)}`, "All of the task") : null,
          letter ? link(`#/dead/${letter.number}`, `Dead letter ${letter.number}`) : null,
        ),
      ),
    ];
  }

  function ofSeveral(steps) {
    const worst = [...steps].sort((one, other) => WORST_FIRST.indexOf(one.state) - WORST_FIRST.indexOf(other.state));
    const times = steps
      .map(lasted)
      .filter((time) => time !== null)
      .sort((one, other) => one - other);
    const act = () => unfold({ steps });
    const member = (step) =>
      h(
        "li",
        null,
        h(
          "button",
          { type: "button", class: "small", on: { click: () => choose(step.id) } },
          stateMark(step.state),
          h("span", null, step.exception ?? step.id),
          h("small", null, noteOf(step, Date.now() / 1000)),
        ),
      );
    return [
      head(`${count(steps.length)} × ${steps[0].name ?? "?"}`),
      h(
        "div",
        { class: "body" },
        h("div", null, summaryOf(countStates(steps))),
        h(
          "dl",
          { class: "facts" },
          h("dt", null, "Broker"),
          h("dd", null, brokerMark(steps[0].broker)),
          h("dt", null, "Queue"),
          h("dd", null, steps[0].queue ?? "–"),
          times.length ? [h("dt", null, "Run time"), h("dd", null, spread(times))] : null,
        ),
        h(
          "div",
          { class: "acts" },
          h("button", { type: "button", class: "primary", on: { click: act } }, `Unfold ${count(steps.length)}`),
        ),
        h(
          "ul",
          { class: "step-list", "aria-label": "Members, the worst first" },
          worst.slice(0, MOST_MEMBERS).map(member),
        ),
        worst.length > MOST_MEMBERS
          ? h("p", { class: "muted" }, `and ${count(worst.length - MOST_MEMBERS)} more`)
          : null,
      ),
    ];
  }

  return { element, show, update };
}

function factsOf(step) {
  const queue = step.queue ? h("a", { href: `#/queues/${encodeURIComponent(step.queue)}` }, step.queue) : "–";
  return facts([
    ["Broker", brokerMark(step.broker)],
    ["Queue", queue],
    ["Worker", step.worker],
    ["Retries", step.retries ? count(step.retries) : null],
    ["Id", h("code", null, step.id)],
  ]);
}

function spread(times) {
  const middle = times[Math.floor(times.length / 2)];
  return `median ${seconds(middle)}, from ${seconds(times[0])} to ${seconds(times.at(-1))}`;
}

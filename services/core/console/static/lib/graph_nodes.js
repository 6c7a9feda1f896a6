/** Draws the nodes of a graph, and of a node that is drawn what has changed. */

import { svg, write } from "./dom.js";
import { brokerColour, count, seconds } from "./format.js";
import { FOLD, STEP } from "./graph.js";
import { countStates, pathOfTask, textOfTask, toneOfTask } from "./task_states.js";

const LONGEST_NAME = 23;
const LONGEST_NOTE = 28;
const BAR = { x: 14, y: 53, width: FOLD.width - 28, height: 6 };

/**
 * Draw a node, as yet without what may change.
 *
 * @param {{id: string, steps: object[]}} node
 * @returns {{element: SVGGElement, told: string}} What `touch` takes.
 */
export function drawNode(node) {
  const size = node.steps.length > 1 ? FOLD : STEP;
  const parts = {
    card: svg("rect", { class: "card", width: size.width, height: size.height, rx: 9 }),
    mark: svg("circle", { class: "mark", cx: 24, cy: 26, r: 10.5 }),
    line: svg("path", { class: "line", transform: "translate(13.6 15.6) scale(1.3)" }),
    name: svg("text", { class: "name", x: 43, y: 23 }),
    note: svg("text", { class: "note", x: 43, y: 40 }),
  };
  const behind = node.steps.length > 1 ? svg("rect", { class: "behind", x: 6, y: 6, ...rest(size), rx: 9 }) : null;
  const element = svg(
    "g",
    { class: "node", role: "button", tabindex: -1, dataset: { node: node.id } },
    behind,
    Object.values(parts),
  );
  if (behind) {
    element.classList.add("fold");
    parts.bar = svg("g", { class: "parts" });
    element.append(parts.bar);
  }
  return { element, parts, told: "" };
}

/**
 * Bring a drawn node up to date; where it looks as before nothing is touched.
 *
 * @param {{element: SVGGElement, parts: object, told: string}} drawn
 * @param {{id: string, steps: object[]}} node
 * @returns {boolean} Whether it was touched.
 */
export function touch(drawn, node) {
  const counts = countStates(node.steps);
  const told = lookOf(node, counts);
  const look = JSON.stringify(told);
  if (look === drawn.told) return false;
  drawn.told = look;
  const { element, parts } = drawn;
  element.style.setProperty("--broker", brokerColour(told.broker));
  element.setAttribute("aria-label", told.label);
  for (const tone of ["good", "busy", "wait", "warn", "bad", "none"])
    element.classList.toggle(tone, tone === told.tone);
  for (const other of ["pending", "skipped"]) element.classList.toggle(other, told.state === other);
  parts.line.setAttribute("d", pathOfTask(told.state));
  write(parts.name, shortened(told.name, LONGEST_NAME));
  write(parts.note, shortened(told.note, LONGEST_NOTE));
  if (parts.bar) parts.bar.replaceChildren(...segments(counts, node.steps.length));
  return true;
}

/**
 * Tell how long a step has run, or for how long it has waited.
 *
 * @param {object} step - As the API tells it.
 * @param {number} now - In seconds since the epoch.
 * @returns {string}
 */
export function noteOf(step, now) {
  const retries = step.retries ? ` · ${step.retries} ${step.retries === 1 ? "retry" : "retries"}` : "";
  const ran = lasted(step);
  if (step.state === "succeeded" && ran !== null) return `${seconds(ran)}${retries}`;
  if (step.state === "started" && step.started_at)
    return `running for ${seconds(Math.max(0, now - step.started_at))}${retries}`;
  if (step.state === "failed" && ran !== null) return `failed after ${seconds(ran)}${retries}`;
  return `${textOfTask(step.state)}${retries}`;
}

/**
 * Return the run time of a step in seconds, as its worker told it or as its times say.
 *
 * @param {object} step
 * @returns {number|null}
 */
export function lasted(step) {
  if (step.seconds !== null && step.seconds !== undefined) return step.seconds;
  return step.started_at && step.ended_at ? Math.max(0, step.ended_at - step.started_at) : null;
}

/**
 * Tell how many steps of a fold are in which state.
 *
 * @param {{state: string, count: number}[]} counts
 * @returns {string}
 */
export function summaryOf(counts) {
  return counts.map((each) => `${count(each.count)} ${textOfTask(each.state)}`).join(", ");
}

function lookOf(node, counts) {
  const [step] = node.steps;
  const folded = node.steps.length > 1;
  const [worst] = counts;
  const name = step.name ?? "(not known)";
  const note = folded ? summaryOf(counts) : noteOf(step, Date.now() / 1000);
  const where = step.broker ? ` on ${step.broker}` : "";
  return {
    broker: step.broker,
    state: worst.state,
    tone: toneOfTask(worst.state),
    name: folded ? `${count(node.steps.length)} × ${name}` : name,
    note,
    label: folded
      ? `${node.steps.length} members, ${name}${where}: ${note}`
      : `${name}${where}: ${textOfTask(worst.state)}, ${note}`,
  };
}

function segments(counts, total) {
  let left = BAR.x;
  return [...counts].reverse().map((each) => {
    const width = (each.count / total) * BAR.width;
    const part = svg("rect", { class: toneOfTask(each.state), ...rest(BAR), x: left, y: BAR.y, width });
    left += width;
    return part;
  });
}

function rest({ width, height }) {
  return { width, height };
}

/** Keep the end of a dotted name, which tells more than its beginning. */
function shortened(text, most) {
  if (text.length <= most) return text;
  const dotted = /^[\w.× ,]+\.\w+$/.test(text) && !text.includes(" · ");
  return dotted ? `…${text.slice(text.length - most + 1)}` : `${text.slice(0, most - 1)}…`;
}

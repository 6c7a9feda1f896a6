/** Shows a graph of steps: drawn in slices, moved, walked through by keys; on news only what has changed is touched. */

import { h, replace, svg } from "./dom.js";
import { layout } from "./graph.js";
import { camera } from "./graph_camera.js";
import { fold } from "./graph_fold.js";
import { drawNode, touch } from "./graph_nodes.js";
import { tipOf } from "./graph_tip.js";
import { stepFrom } from "./graph_walk.js";
import { inSlices } from "./slices.js";

const STEP_OF_ZOOM = 1.3;
const STEP_OF_MOVE = 80;
/** Of more nodes none glides to its new place. */
const GLIDING = 200;
/** Frames that are less wide are drawn from top to bottom. */
const NARROW = 600;
/** The scale at which words can be read on a phone. */
const LEGIBLE = 0.55;

/**
 * Make a view of a workflow.
 *
 * @param {object} options
 * @param {string} options.label - What it shows, for who can't see it.
 * @param {(node: {id: string, steps: object[]}|null) => void} options.onSelect - A node was chosen, or none.
 * @param {(node: {id: string, steps: object[]}) => Node|Node[]} options.describe - What is told beside a node that is
 *   pointed at.
 * @param {AbortSignal} options.signal - Ends it.
 * @returns {{element: HTMLElement, update: (steps: object[], edges: object[]) => void, select: (stepId: string|null) => void,
 *   unfold: (node: object) => void, foldAll: () => void, fit: () => void, dim: (keep: (step: object) => boolean) => void}}
 */
export function graphView({ label, onSelect, describe, signal }) {
  const edgesLayer = svg("g", { class: "edges" });
  const nodesLayer = svg("g", { class: "nodes" });
  const world = svg("g", null, edgesLayer, nodesLayer);
  const frame = svg(
    "svg",
    { class: "canvas", role: "group", "aria-label": label, "aria-busy": "true" },
    arrow(),
    world,
  );
  const tools = h("div", { class: "tools", role: "toolbar", "aria-label": "View" });
  const look = camera(frame, world);
  const tip = tipOf(frame, look, describe);
  const element = h("div", { class: "graph" }, frame, tools, tip.element);
  const drawn = new Map();
  const lines = new Map();
  const unfolded = new Set();
  let given = { steps: [], edges: [] };
  let nodes = new Map();
  let neighbours = { before: new Map(), after: new Map() };
  let shape = "";
  let plan = null;
  let down = null;
  let drawing = 0;
  let current = null;
  let selected = null;
  let kept = null;

  function update(steps, edges) {
    given = { steps, edges };
    refresh();
  }

  function refresh() {
    const found = fold(given.steps, given.edges, unfolded);
    nodes = new Map(found.nodes.map((node) => [node.id, node]));
    down ??= isNarrow();
    const next = JSON.stringify([
      down,
      found.nodes.map((node) => [node.id, node.steps.length > 1]),
      found.edges.map((edge) => edge.id),
    ]);
    if (next !== shape) {
      shape = next;
      plan = layout(found.nodes, found.edges, { down });
      neighbours = { before: sides(found.edges, "to", "from"), after: sides(found.edges, "from", "to") };
      clear(found);
      if (!look.isMoved()) fit();
    }
    foldTool.hidden = !unfolded.size;
    if (!nodes.has(current)) current = found.nodes[0]?.id ?? null;
    draw(found);
  }

  /** Remove what is no longer there; all else stays, and moves. */
  function clear(found) {
    const there = new Set(found.edges.map((edge) => edge.id));
    for (const [known, of] of [
      [drawn, nodes],
      [lines, there],
    ]) {
      for (const [id, each] of known) {
        if (of.has(id)) continue;
        each.element.remove();
        known.delete(id);
      }
    }
    frame.classList.toggle("glides", nodes.size <= GLIDING && drawn.size > 0);
    frame.classList.toggle("dense", found.edges.length > 300);
  }

  async function draw(found) {
    const turn = (drawing += 1);
    const stays = () => turn === drawing && !signal.aborted;
    frame.setAttribute("aria-busy", "true");
    const whole = await inSlices(found.nodes, drawOne, stays);
    if (whole && (await inSlices(found.edges, drawLine, stays))) frame.setAttribute("aria-busy", "false");
  }

  function drawOne(node) {
    const fresh = !drawn.has(node.id);
    if (fresh) drawn.set(node.id, drawNode(node));
    const made = drawn.get(node.id);
    touch(made, node);
    const { x, y } = plan.places.get(node.id);
    const place = `translate(${x}px, ${y}px)`;
    if (place !== made.place) made.element.style.setProperty("transform", (made.place = place));
    mark(node.id, made);
    if (fresh) nodesLayer.append(made.element);
  }

  function mark(id, made) {
    const state = [id === current ? 0 : -1, id === selected, kept !== null && !nodes.get(id).steps.some(kept)].join();
    if (made.marked === state) return;
    made.marked = state;
    made.element.setAttribute("tabindex", id === current ? 0 : -1);
    made.element.setAttribute("aria-pressed", String(id === selected));
    made.element.classList.toggle("dim", kept !== null && !nodes.get(id).steps.some(kept));
  }

  function drawLine(edge) {
    const fresh = !lines.has(edge.id);
    if (fresh) lines.set(edge.id, { element: svg("path", { class: "edge", "marker-end": "url(#arrow)" }), told: "" });
    const made = lines.get(edge.id);
    const { line, joined } = plan.paths.get(edge.id) ?? { line: "", joined: true };
    const told = `edge ${phaseOf(nodes.get(edge.to).steps)}${joined ? " joined" : ""}`;
    if (told !== made.told) made.element.setAttribute("class", (made.told = told));
    if (line !== made.line) made.element.setAttribute("d", (made.line = line));
    if (fresh) edgesLayer.append(made.element);
  }

  function markAll() {
    for (const [id, made] of drawn) if (nodes.has(id)) mark(id, made);
  }

  function isNarrow() {
    const { width } = frame.getBoundingClientRect();
    return width > 0 && width < NARROW;
  }

  function fit() {
    if (!plan?.places.size) return;
    const most = down ? frame.clientHeight / LEGIBLE : Infinity; // who holds a phone moves it on with a finger
    look.fit({ x: 0, y: 0, width: plan.width, height: Math.min(plan.height, most) });
  }

  function choose(id) {
    selected = id;
    tip.hide();
    if (id !== null) current = id;
    markAll();
    onSelect(id === null ? null : nodes.get(id));
  }

  function select(stepId) {
    if (stepId === null) return choose(null);
    const node = nodeOf(stepId);
    if (!node) return undefined;
    choose(node.id);
    return look.show(plan.places.get(node.id));
  }

  function nodeOf(stepId) {
    return (
      nodes.get(stepId) ?? [...nodes.values()].find((node) => node.steps.some((step) => step.id === stepId)) ?? null
    );
  }

  function unfold(node) {
    const ids = node.steps.map((step) => step.id);
    for (const id of ids) unfolded.add(id);
    refresh();
    look.fit(around(ids.map((id) => plan.places.get(id)).filter(Boolean)));
    choose(null);
    focus(ids[0]);
  }

  function foldAll() {
    unfolded.clear();
    refresh();
    fit();
    choose(null);
  }

  function dim(keep) {
    kept = keep;
    markAll();
  }

  function focus(id) {
    if (!drawn.has(id)) return;
    current = id;
    markAll();
    drawn.get(id).element.focus({ preventScroll: true });
  }

  function walk(key) {
    const to = stepFrom(current, key, plan, neighbours, down);
    if (!to) return;
    look.show(plan.places.get(to));
    focus(to);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !plan?.places.size) return;
    const moves = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (event.shiftKey && event.key in moves) look.move(...moves[event.key].map((by) => by * STEP_OF_MOVE));
    else if (event.key in moves || event.key === "Home" || event.key === "End") walk(event.key);
    else if (event.key === "+" || event.key === "=") look.zoom(STEP_OF_ZOOM);
    else if (event.key === "-") look.zoom(1 / STEP_OF_ZOOM);
    else if (event.key === "0") fit();
    else if (event.key === "Escape") choose(null);
    else if (event.key === "Enter" || event.key === " ") choose(current);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function point(event) {
    const id = event.target.closest?.("[data-node]")?.dataset.node;
    if (id !== undefined && nodes.has(id)) tip.show(nodes.get(id), plan.places.get(id));
    else tip.hide();
  }

  const tool = (text, name, act) =>
    h("button", { type: "button", "aria-label": name, title: name, on: { click: act } }, text);
  const foldTool = tool("Fold", "Fold what is alike again", foldAll);
  foldTool.hidden = true;
  replace(
    tools,
    foldTool,
    tool("−", "Zoom out (-)", () => look.zoom(1 / STEP_OF_ZOOM)),
    tool("+", "Zoom in (+)", () => look.zoom(STEP_OF_ZOOM)),
    tool("Fit", "Fit into view (0)", fit),
  );
  frame.addEventListener("keydown", onKey);
  frame.addEventListener("click", (event) => choose(event.target.closest("[data-node]")?.dataset.node ?? null));
  frame.addEventListener("dblclick", (event) => {
    const node = nodes.get(event.target.closest("[data-node]")?.dataset.node);
    if (node?.steps.length > 1) unfold(node);
  });
  frame.addEventListener("pointerover", (event) => event.pointerType === "mouse" && point(event));
  frame.addEventListener("pointerleave", tip.hide);
  frame.addEventListener("focusin", point);
  frame.addEventListener("focusout", tip.hide);
  look.onChange(tip.hide);
  const sized = new ResizeObserver(() => {
    if (frame.clientWidth && down !== null && down !== isNarrow()) {
      down = isNarrow();
      refresh();
    }
    if (!look.isMoved()) fit();
    else if (nodes.has(selected)) look.show(plan.places.get(selected));
  });
  sized.observe(frame);
  signal.addEventListener("abort", () => sized.disconnect());

  return { element, update, select, unfold, foldAll, fit, dim };
}

/** Tell how far it has come with what an edge leads to: nothing of it is sent yet, some of it runs, or it went on. */
function phaseOf(steps) {
  if (steps.some((step) => step.state === "started")) return "busy";
  return steps.some((step) => step.state !== "pending" && step.state !== "skipped") ? "passed" : "open";
}

function around(places) {
  if (!places.length) return null;
  const [x, y] = [Math.min(...places.map((place) => place.x)), Math.min(...places.map((place) => place.y))];
  const right = Math.max(...places.map((place) => place.x + place.width));
  return { x, y, width: right - x, height: Math.max(...places.map((place) => place.y + place.height)) - y };
}

function sides(edges, from, to) {
  const found = new Map();
  for (const edge of edges) {
    if (!found.has(edge[from])) found.set(edge[from], []);
    found.get(edge[from]).push(edge[to]);
  }
  return found;
}

function arrow() {
  const size = { viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, orient: "auto" };
  return svg(
    "defs",
    null,
    svg("marker", { id: "arrow", markerUnits: "userSpaceOnUse", ...size }, svg("path", { d: "M0 1 7 4 0 7z" })),
  );
}

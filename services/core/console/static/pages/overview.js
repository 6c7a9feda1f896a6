/** The whole fleet at a glance. */

import { get } from "../lib/api.js";
import { bar, sparkline } from "../lib/charts.js";
import { h, replace, write } from "../lib/dom.js";
import {
  ASK_EVERY,
  askQueues,
  concernsOf,
  longestWait,
  slotsOf,
  stateOfQueue,
  sum,
  trendCell,
  trendOf,
  waitOf,
} from "../lib/fleet.js";
import { badge, brokerColour, brokerMark, count, seconds, toneOf, UNKNOWN } from "../lib/format.js";
import { every } from "../lib/live.js";
import { table } from "../lib/table.js";

export const title = "Overview";

const QUEUES_SHOWN = 7;
const ASK_WORKERS_EVERY = 10;
const CONCERNS_SHOWN = 8;
const QUEUE_COLUMNS = [
  { key: "name", title: "Queue", cell: (queue) => queue.name },
  { key: "ready", title: "Ready", numeric: true, cell: (queue) => count(queue.ready) },
  { key: "wait", title: "Oldest", numeric: true, cell: waitOf },
  { key: "held", title: "Held", numeric: true, minor: true, cell: (queue) => count(queue.unacknowledged) },
  { key: "trend", title: "Ready, last minutes", minor: true, cell: trendCell },
  { key: "workers", title: "Workers", numeric: true, minor: true, cell: (queue) => count(queue.consumers) },
  { key: "state", title: "State", cell: stateOfQueue },
];

/**
 * Show brokers with their deepest queues, the work under way, and what a person should look at.
 *
 * @param {HTMLElement} main
 * @param {{signal: AbortSignal, me: {acts: string[]}}} context
 */
export async function show(main, { signal, me }) {
  const stats = statsOf(me);
  const concerns = concernsPanel();
  const brokers = h("div", { class: "brokers" });
  const panels = new Map();
  const work = h("div", { class: "grid" });
  const seen = { queues: [], brokers: {}, overview: null };
  replace(main, concerns.element, stats.element, brokers, work);

  const draw = () => concerns.update([...concernsOf(seen.queues, seen.brokers), ...concernsOfLedger(seen.overview)]);
  every(
    ASK_EVERY,
    async () => {
      const { entries, brokers: up } = await askQueues({ signal });
      Object.assign(seen, { queues: entries, brokers: up });
      stats.tellQueues(entries, up);
      for (const name of Object.keys(up).sort()) {
        if (!panels.has(name)) {
          panels.set(name, brokerPanel(name));
          brokers.append(panels.get(name).element);
        }
        panels.get(name).update(
          entries.filter((queue) => queue.broker === name),
          up[name],
        );
      }
      draw();
    },
    signal,
  );
  every(
    ASK_EVERY,
    async () => {
      seen.overview = await get("/overview", { signal });
      stats.tellLedger(seen.overview);
      replace(
        work,
        stateBars("Campaigns", "#/campaigns", seen.overview.campaigns),
        stateBars("File jobs", "#/jobs", seen.overview.jobs),
      );
      draw();
    },
    signal,
  );
  every(ASK_WORKERS_EVERY, async () => stats.tellWorkers(await get("/workers", { signal })), signal);
}

function statsOf(me) {
  const cells = {
    ready: stat("Waiting", "#/queues"),
    held: stat("Held by workers", "#/queues"),
    wait: stat("Longest wait", "#/queues"),
    running: stat("Running tasks", "#/workers"),
    campaigns: stat("Campaigns running", "#/campaigns?state=running"),
    jobs: stat("File jobs running", "#/jobs?state=running"),
    dead: stat("Dead letters", me.acts.includes("read") ? "#/dead" : null),
    outbox: stat("Outbox", null),
  };
  const tellQueues = (queues, brokers) => {
    const up = queues.filter((queue) => queue.up);
    const silent = Object.values(brokers).filter((each) => !each).length;
    const note = silent ? `without ${silent} of ${Object.keys(brokers).length} brokers` : "";
    cells.ready.tell(count(sum(up, "ready")), note || `${count(sum(up, "delayed"))} delayed`, silent ? "warn" : "");
    cells.held.tell(count(sum(up, "unacknowledged")), note || "not acknowledged");
    cells.wait.tell(seconds(longestWait(up) ?? (sum(up, "ready") === 0 ? 0 : null)), "of what goes out next");
  };
  const tellLedger = ({ campaigns, jobs, dead_letters: dead, outbox }) => {
    cells.campaigns.tell(count(campaigns.running ?? 0), `${count(campaigns.paused ?? 0)} paused`);
    cells.jobs.tell(count(jobs.running ?? 0), `${count(total(jobs))} in all`);
    cells.dead.tell(count(dead.kept), dead.kept ? "not replayed" : "none", dead.kept ? "bad" : "");
    const late = !outbox.relay_at_work
      ? "the relay is not at work"
      : outbox.entries
        ? `oldest ${seconds(outbox.seconds)}`
        : "all is published";
    cells.outbox.tell(count(outbox.entries), late, outbox.relay_at_work ? "" : "bad");
  };
  const tellWorkers = ({ entries, not_asked: silent }) => {
    const places = entries.reduce((whole, worker) => whole + (worker.processes ?? 0), 0);
    const running = entries.reduce((whole, worker) => whole + worker.running.length, 0);
    const without = Object.keys(silent).length ? ", not all asked" : "";
    cells.running.tell(count(running), `${count(entries.length)} workers, ${count(places)} places${without}`);
  };
  return {
    element: h(
      "div",
      { class: "stats eight" },
      Object.values(cells).map((cell) => cell.element),
    ),
    tellQueues,
    tellLedger,
    tellWorkers,
  };
}

function stat(label, href) {
  const number = h("span", { class: "number" }, "–");
  const note = h("span", { class: "note" }, " ");
  const element = h(href ? "a" : "div", { class: "stat", href }, h("span", { class: "label" }, label), number, note);
  const tell = (value, text = "", mood = "") => {
    write(number, value);
    write(note, text || " ");
    note.title = text;
    element.className = `stat ${mood}`.trim();
  };
  return { element, tell };
}

function concernsPanel() {
  const list = h("ul", { class: "concerns" });
  const element = h("section", { "aria-label": "What to look at", hidden: true }, list);
  let before = "";
  const update = (concerns) => {
    const now = JSON.stringify(concerns);
    element.hidden = !concerns.length;
    if (now === before) return;
    before = now;
    replace(
      list,
      concerns
        .slice(0, CONCERNS_SHOWN)
        .map(({ tone, text, href }) => h("li", null, h("a", { class: tone, href }, text))),
    );
    if (concerns.length > CONCERNS_SHOWN)
      list.append(
        h("li", null, h("a", { class: "none", href: "#/queues" }, `and ${concerns.length - CONCERNS_SHOWN} more`)),
      );
  };
  return { element, update };
}

function concernsOfLedger(overview) {
  if (!overview) return [];
  const found = [];
  if (!overview.outbox.relay_at_work)
    found.push({
      tone: "bad",
      text: "The relay is not at work: what is accepted waits in the outbox.",
      href: "#/workers",
    });
  if (!overview.history.at_work)
    found.push({ tone: "warn", text: "The history is not kept now: the recorder is not at work.", href: "#/tasks" });
  return found;
}

function brokerPanel(name) {
  const mark = h("span", null);
  const number = h("strong", null, UNKNOWN);
  const facts = h("p", { class: "muted" });
  const chart = h("div", { class: "chart", style: { "--colour": brokerColour(name) } });
  const href = `#/queues?broker=${encodeURIComponent(name)}`;
  const all = h("a", { class: "all", href });
  const queues = table({
    caption: `Queues of ${name}`,
    columns: QUEUE_COLUMNS,
    key: (queue) => queue.name,
    href: (queue) => `#/queues/${encodeURIComponent(queue.name)}`,
    empty: "It has no queues.",
  });
  const element = h(
    "section",
    { class: "panel broker-panel", "aria-label": `Broker ${name}`, dataset: { broker: name } },
    h(
      "div",
      { class: "summary" },
      h("div", { class: "line" }, h("h2", null, h("a", { href }, brokerMark(name))), mark),
      h("p", { class: "line" }, number, " waiting"),
      facts,
      chart,
    ),
    h("div", null, queues.element, all),
  );
  const update = (entries, up) => {
    replace(mark, badge(up ? "up" : "does not answer", up ? "good" : "bad"));
    element.classList.toggle("is-down", !up);
    write(number, count(sum(entries, "ready")));
    const rest = `${count(sum(entries, "unacknowledged"))} held, ${count(sum(entries, "delayed"))} delayed`;
    write(facts, up ? rest : "Its numbers are not known; the others go on.");
    const trend = trendOf(`broker:${name}`);
    const label = `Waiting in ${name}, the last minutes`;
    replace(chart, sparkline(trend, { label, width: 280, height: 44, slots: slotsOf(trend) }));
    queues.update([...entries].sort(deepestFirst).slice(0, QUEUES_SHOWN));
    write(all, `All ${entries.length} queues`);
    all.hidden = entries.length <= QUEUES_SHOWN;
  };
  return { element, update };
}

function deepestFirst(one, other) {
  return (other.ready ?? 0) - (one.ready ?? 0) || one.name.localeCompare(other.name);
}

function stateBars(name, href, counts) {
  const states = Object.entries(counts).sort();
  const parts = states.map(([state, value]) => ({ value, tone: toneOf(state), label: state.replaceAll("_", " ") }));
  const legend = states.map(([state, value]) =>
    h(
      "li",
      null,
      h("a", { href: `${href}?state=${state}` }, badge(state.replaceAll("_", " "), toneOf(state))),
      h("span", { class: "strong" }, count(value)),
    ),
  );
  const content = states.length
    ? [bar(parts), h("ul", { class: "legend" }, legend)]
    : h("p", { class: "muted" }, `No ${name.toLowerCase()} yet.`);
  return h(
    "section",
    { class: "panel" },
    h("div", { class: "head" }, h("h2", null, name), h("a", { href }, "All")),
    h("div", { class: "body" }, content),
  );
}

function total(counts) {
  return Object.values(counts).reduce((whole, number) => whole + number, 0);
}

/** One campaign: how far it is and how fast, whom it did not reach; it is paused, resumed, cancelled. */

import { follow, get, send } from "../lib/api.js";
import { sparkline } from "../lib/charts.js";
import { attempt, confirm } from "../lib/dialogs.js";
import { h, replace } from "../lib/dom.js";
import { count, seconds, state, when } from "../lib/format.js";
import { mark } from "../lib/live.js";
import { decided, legend, outcomeBar, progress, took } from "../lib/outcomes.js";
import { Pace } from "../lib/pace.js";
import { recipients } from "../lib/recipients.js";
import { renew } from "../lib/renew.js";

export const title = "Campaign";

const ACTS = { running: ["pause", "cancel"], paused: ["resume", "cancel"], loading: ["cancel"] };
const LABELS = { pause: "Pause", resume: "Resume", cancel: "Cancel campaign" };
const STYLES = { resume: "primary", cancel: "danger" };
const DONE = {
  pause: "The campaign is paused: no more of it is begun.",
  resume: "The campaign goes on.",
  cancel: "The campaign is cancelled.",
};

/**
 * Show the page, and keep it fresh until the campaign has ended.
 *
 * @param {HTMLElement} main - Where it goes.
 * @param {{params: {id: string}, query: URLSearchParams, signal: AbortSignal, me: {acts: string[]},
 *   setQuery: (values: object) => void, heading: (title: string, parent: {text: string, href: string}) => void}} context
 */
export async function show(main, { params, query, signal, me, setQuery, heading }) {
  const path = `/campaigns/${encodeURIComponent(params.id)}`;
  const head = h("div", { class: "toolbar" });
  const body = h("section", { class: "panel", "aria-label": "Progress" });
  const pace = new Pace();
  heading(params.id, { text: "Campaigns", href: "#/campaigns" });

  let now = await get(path, { signal });
  const list = me.acts.includes("read") ? recipients(path, { query, signal, setQuery }) : null;
  const draw = () => {
    renew(head, headOf(now, me, act));
    renew(body, summaryOf(now, path, pace));
  };
  const tell = (campaign) => {
    now = campaign;
    draw();
    list?.refresh();
  };
  const tick = () => {
    if (now.state !== "running") return pace.rest();
    pace.look(decided(now.counts).decided);
    draw();
  };
  const act = async (name) => {
    if (name === "cancel" && !(await isSure(now))) return;
    const told = await attempt(() => send("POST", `${path}/${name}`), DONE[name]);
    if (told) tell(told);
  };

  replace(main, head, body, list ? list.element : unread());
  tell(now);
  const ticking = setInterval(tick, 1000);
  signal.addEventListener("abort", () => clearInterval(ticking));
  follow(`${path}/events`, { signal, onState: tell, onLost: (problem) => mark(path, problem) });
}

function isSure({ id, counts }) {
  const text = `${count(counts.pending)} recipients get no mail. This is for good: the id can't be used again.`;
  return confirm({ title: "Cancel this campaign?", text, act: "Cancel the campaign", danger: true, typed: id });
}

function unread() {
  return h("p", { class: "muted" }, "Recipients are for senders and operators.");
}

function headOf(campaign, me, act) {
  const offered = (ACTS[campaign.state] ?? []).filter((name) => me.acts.includes(`${name} campaign`));
  const button = (name) =>
    h("button", { type: "button", class: STYLES[name], on: { click: () => act(name) } }, LABELS[name]);
  const tasks = `#/tasks?text=${encodeURIComponent(campaign.id)}`;
  return [
    state(campaign.state),
    h(
      "span",
      { class: "muted" },
      "Begun ",
      when(campaign.created_at),
      campaign.finished_at ? `, took ${took(campaign)}` : null,
    ),
    h("span", { class: "space" }),
    me.acts.includes("read task") ? h("a", { class: "button", href: tasks }, "Its tasks") : null,
    offered.map(button),
  ];
}

function summaryOf(campaign, path, pace) {
  const { counts, chunks, duplicates, without_address: without } = campaign;
  const facts = [
    ["Template", campaign.template],
    ["List", campaign.list_name],
    duplicates ? ["Left out", `${count(duplicates)} rows that repeat an address`] : null,
    without ? ["Left out", `${count(without)} rows without an address`] : null,
  ];
  return h(
    "div",
    { class: "body progress" },
    h(
      "div",
      { class: "toolbar" },
      progress(counts, "recipient", "recipients"),
      h("span", { class: "space" }),
      paceOf(campaign, pace),
    ),
    outcomeBar(counts),
    legend(counts, (name) => `#${path}?status=${name}`),
    campaign.state === "paused" ? h("p", { class: "notice warn" }, paused(chunks.released)) : null,
    h(
      "dl",
      { class: "facts" },
      facts.filter(Boolean).map(([name, value]) => [h("dt", null, name), h("dd", null, value)]),
    ),
  );
}

function paused(underWay) {
  if (!underWay) return "Paused. Nothing is under way.";
  return `Paused: no more is begun. ${count(underWay)} ${underWay === 1 ? "chunk is" : "chunks are"} still under way.`;
}

function paceOf({ state: name, counts }, pace) {
  const rate = pace.perSecond;
  if (name !== "running" || rate === null) return null;
  const { total, decided: number } = decided(counts);
  const left = rate > 0 ? `, ${seconds((total - number) / rate)} left` : "";
  return [
    sparkline(pace.history, { label: "Recipients per second, of late", width: 160, height: 24, slots: 60 }),
    h("span", null, h("strong", null, count(Math.round(rate * 10) / 10)), ` per second${left}`),
  ];
}

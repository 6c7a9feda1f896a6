/** One file job: how far it is, what became of each file, what was made of it. */

import { follow, get, send } from "../lib/api.js";
import { attempt, confirm } from "../lib/dialogs.js";
import { h, replace } from "../lib/dom.js";
import { fileList } from "../lib/files.js";
import { state, when } from "../lib/format.js";
import { growingList } from "../lib/growing_list.js";
import { mark } from "../lib/live.js";
import { legend, outcomeBar, progress, stateTabs, took } from "../lib/outcomes.js";
import { renew } from "../lib/renew.js";

export const title = "File job";

const STATES = ["waiting", "done", "failed"];
const SHOWN = 50;
const UNREAD = "The files, and what was made of them, are for senders and operators.";

/**
 * Show the page, and keep it fresh until the job has ended.
 *
 * @param {HTMLElement} main - Where it goes.
 * @param {{params: {id: string}, query: URLSearchParams, signal: AbortSignal, me: {acts: string[]},
 *   setQuery: (values: object) => void, heading: (title: string, parent: {text: string, href: string}) => void}} context
 */
export async function show(main, { params, query, signal, me, setQuery, heading }) {
  const path = `/jobs/${encodeURIComponent(params.id)}`;
  const reads = me.acts.includes("read");
  const head = h("div", { class: "toolbar" });
  const body = h("section", { class: "panel", "aria-label": "Progress" });
  const files = fileList(`/api/v1${path}`);
  const tabs = h("div", null);
  let status = query.get("status") ?? "";
  heading(params.id, { text: "File jobs", href: "#/jobs" });

  const tell = (job) => {
    renew(head, headOf(job, me, cancel));
    renew(body, summaryOf(job, path, reads));
    if (reads) refresh();
  };
  const ask = async (limit) => {
    const asked = status;
    const found = await get(`${path}/files`, { query: { status, limit }, signal });
    return asked === status ? found : null;
  };
  const { more, refresh } = growingList({ step: SHOWN, ask, update: files.update, signal });
  const choose = (name) => {
    status = name;
    setQuery({ status });
    renew(
      tabs,
      stateTabs(STATES, status, (each) => `#${path}?status=${each}`, { choose }),
    );
    refresh();
  };
  const cancel = async () => {
    const text = "Files that are not processed yet are left out. What runs at this moment ends. Nobody gets a mail.";
    if (!(await confirm({ title: "Cancel this job?", text, act: "Cancel the job", danger: true }))) return;
    const job = await attempt(() => send("POST", `${path}/cancel`), "The job is cancelled.");
    if (job) tell(job);
  };

  const first = await get(path, { signal });
  replace(main, head, body, reads ? filesOf(tabs, files, more) : h("p", { class: "muted" }, UNREAD));
  if (reads) choose(status);
  tell(first);
  follow(`${path}/events`, { signal, onState: tell, onLost: (problem) => mark(path, problem) });
}

function headOf(job, me, cancel) {
  const stops = job.state === "running" && me.acts.includes("cancel job");
  return [
    state(job.state),
    h("span", { class: "muted" }, "Submitted ", when(job.created_at), job.finished_at ? `, took ${took(job)}` : null),
    h("span", { class: "space" }),
    h("a", { class: "button", href: `#/workflows/${encodeURIComponent(job.workflow)}` }, "Workflow graph"),
    stops ? h("button", { type: "button", class: "danger", on: { click: cancel } }, "Cancel job") : null,
  ];
}

function summaryOf(job, path, reads) {
  return h(
    "div",
    { class: "body progress" },
    progress(job.counts, "file", "files"),
    outcomeBar(job.counts),
    legend(job.counts, (name) => (reads ? `#${path}?status=${name}` : null)),
    job.reason ? h("p", { class: "problem" }, job.reason) : null,
    reads && job.outputs.length ? outputs(job.outputs) : null,
    job.cleaned_at
      ? h("p", { class: "muted" }, "Its files were removed from storage ", when(job.cleaned_at), ".")
      : null,
  );
}

function outputs(paths) {
  const link = (path) => h("a", { class: "button small", href: path, download: true }, path.split("/").pop());
  return h("p", { class: "toolbar outputs" }, h("span", { class: "muted" }, "Download"), paths.map(link));
}

function filesOf(tabs, files, more) {
  const head = h("div", { class: "head" }, h("h2", null, "Files"), tabs);
  return h("section", { class: "panel", "aria-label": "Files" }, head, files.element, more);
}

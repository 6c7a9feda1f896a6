/** File jobs: files are uploaded, and the jobs that they became are listed. */

import { get } from "../lib/api.js";
import { h, replace } from "../lib/dom.js";
import { state, when } from "../lib/format.js";
import { growingList } from "../lib/growing_list.js";
import { every } from "../lib/live.js";
import { outcomeCell, stateTabs, took } from "../lib/outcomes.js";
import { table } from "../lib/table.js";
import { uploader } from "../lib/uploader.js";

export const title = "File jobs";

const STATES = ["running", "done", "done_with_failures", "failed", "cancelled"];
const SHOWN = 25;
const FRESH_SECONDS = 3;

/**
 * Show the page.
 *
 * @param {HTMLElement} main - Where it goes.
 * @param {{query: URLSearchParams, signal: AbortSignal, me: {acts: string[]}, navigate: (hash: string) => void}} context
 */
export async function show(main, { query, signal, me, navigate }) {
  const wanted = query.get("state") ?? "";
  const jobs = table({
    caption: "Jobs, the latest first",
    columns: [
      { key: "id", title: "Job", cell: (job) => h("code", null, job.id) },
      { key: "state", title: "State", cell: (job) => state(job.state) },
      { key: "files", title: "Files", cell: (job) => outcomeCell(job.counts) },
      { key: "submitted", title: "Submitted", cell: (job) => when(job.created_at) },
      { key: "took", title: "Took", numeric: true, minor: true, cell: took },
    ],
    key: (job) => job.id,
    href: (job) => `#/jobs/${encodeURIComponent(job.id)}`,
    empty: wanted
      ? "No job is in this state."
      : ["No jobs yet. Upload files, or run ", h("code", null, "yard process FILE…")],
  });
  const ask = (limit) => get("/jobs", { query: { state: wanted, limit }, signal });
  const { more, load } = growingList({ step: SHOWN, ask, update: jobs.update, signal });
  const tabs = stateTabs(STATES, wanted, (name) => (name ? `#/jobs?state=${name}` : "#/jobs"));
  const head = h("div", { class: "head" }, h("h2", null, "Jobs"), tabs);
  replace(
    main,
    me.acts.includes("submit job") ? uploader({ signal, navigate }) : null,
    h("section", { class: "panel", "aria-label": "Jobs" }, head, jobs.element, more),
  );
  every(FRESH_SECONDS, load, signal);
}

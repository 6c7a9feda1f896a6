/** Campaigns: one is started from a list, and all are shown with how far they are. */

import { get } from "../lib/api.js";
import { campaignForm } from "../lib/campaign_form.js";
import { h, replace } from "../lib/dom.js";
import { state, when } from "../lib/format.js";
import { growingList } from "../lib/growing_list.js";
import { every } from "../lib/live.js";
import { outcomeCell, stateTabs, took } from "../lib/outcomes.js";
import { table } from "../lib/table.js";

export const title = "Campaigns";

const STATES = ["loading", "running", "paused", "done", "cancelled"];
const SHOWN = 25;
const FRESH_SECONDS = 5;

/**
 * Show the page.
 *
 * @param {HTMLElement} main - Where it goes.
 * @param {{query: URLSearchParams, signal: AbortSignal, me: {acts: string[]}, navigate: (hash: string) => void}} context
 */
export async function show(main, { query, signal, me, navigate }) {
  const wanted = query.get("state") ?? "";
  const campaigns = table({
    caption: "Campaigns, the latest first",
    columns: [
      { key: "id", title: "Campaign", cell: (campaign) => campaign.id },
      { key: "state", title: "State", cell: (campaign) => state(campaign.state) },
      { key: "recipients", title: "Recipients", cell: (campaign) => outcomeCell(campaign.counts) },
      { key: "template", title: "Template", minor: true, cell: (campaign) => campaign.template },
      { key: "list", title: "List", minor: true, cell: (campaign) => campaign.list_name },
      { key: "begun", title: "Begun", cell: (campaign) => when(campaign.created_at) },
      { key: "took", title: "Took", numeric: true, minor: true, cell: took },
    ],
    key: (campaign) => campaign.id,
    href: (campaign) => `#/campaigns/${encodeURIComponent(campaign.id)}`,
    empty: wanted
      ? "No campaign is in this state."
      : [
          "No campaigns yet. Give a list of recipients, or run ",
          h("code", null, "yard campaign LIST.csv --template newsletter"),
        ],
  });
  const ask = (limit) => get("/campaigns", { query: { state: wanted, limit }, signal });
  const { more, load } = growingList({ step: SHOWN, ask, update: campaigns.update, signal });
  const tabs = stateTabs(STATES, wanted, (name) => (name ? `#/campaigns?state=${name}` : "#/campaigns"));
  const head = h("div", { class: "head" }, h("h2", null, "Campaigns"), tabs);
  replace(
    main,
    me.acts.includes("submit campaign") ? campaignForm({ signal, navigate }) : null,
    h("section", { class: "panel", "aria-label": "Campaigns" }, head, campaigns.element, more),
  );
  every(FRESH_SECONDS, load, signal);
}

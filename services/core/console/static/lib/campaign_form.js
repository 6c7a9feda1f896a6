/** Starts a campaign: a list is uploaded, every row of it checked, and refused rows are shown. */

import { get } from "./api.js";
import { h, replace } from "./dom.js";
import { dropzone } from "./dropzone.js";
import { bytes, count } from "./format.js";
import { toast } from "./dialogs.js";
import { table } from "./table.js";
import { Cancelled, upload } from "./upload.js";

/** The shipped templates that are made for campaigns. */
const SHIPPED = ["newsletter", "welcome"];
const LATEST = 50;
const ID = "[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}";

/**
 * Make the form; when the campaign is accepted, its page is shown.
 *
 * @param {{signal: AbortSignal, navigate: (hash: string) => void}} context
 * @returns {HTMLElement}
 */
export function campaignForm({ signal, navigate }) {
  const template = h("input", {
    name: "template",
    list: "templates",
    required: true,
    autocomplete: "off",
    maxlength: 100,
  });
  const id = h("input", { name: "id", pattern: ID, autocomplete: "off", placeholder: "made for you" });
  const suggestions = h("datalist", { id: "templates" });
  const told = h("div", { role: "alert" });
  const place = h("div", null);
  const start = h("button", { type: "submit", class: "primary", disabled: true }, "Start campaign");
  const zone = dropzone({
    text: "Drop a list of recipients here, or choose one",
    hint: "A CSV with a header; addresses in the column email, other columns are variables of the template",
    accept: ".csv,text/csv",
    onFiles: ([given]) => take(given),
  });
  let file = null;

  const take = (given) => {
    file = given;
    start.disabled = !file;
    replace(told);
    replace(place, h("p", null, h("strong", null, file.name), " ", h("small", null, bytes(file.size))));
  };
  const go = async (options = {}) => {
    replace(told);
    start.disabled = true;
    const query = { template: template.value.trim(), id: id.value.trim(), name: file.name, ...options };
    try {
      const campaign = await upload("/campaigns", { body: file, type: "text/csv", query, place, signal });
      toast(acceptance(campaign));
      navigate(`#/campaigns/${encodeURIComponent(campaign.id)}`);
    } catch (error) {
      if (signal.aborted) return;
      take(file);
      replace(told, error instanceof Cancelled ? problem(error.message) : refusal(error, go));
    }
  };
  loadTemplates(suggestions, signal);
  return h(
    "form",
    {
      class: "panel uploader",
      "aria-label": "Start a campaign",
      on: { submit: (event) => (event.preventDefault(), go()) },
    },
    zone,
    place,
    h(
      "div",
      { class: "toolbar" },
      h("label", { class: "inline" }, "Template", template, suggestions),
      h("label", { class: "inline", title: "The same id again sends only what was not sent." }, "Id", id),
      start,
    ),
    told,
  );
}

async function loadTemplates(list, signal) {
  const fill = (names) =>
    replace(
      list,
      [...new Set(names)].map((name) => h("option", { value: name })),
    );
  fill(SHIPPED);
  try {
    const { entries } = await get("/campaigns", { query: { limit: LATEST }, signal });
    fill([...entries.map((campaign) => campaign.template), ...SHIPPED]);
  } catch {
    // These are suggestions; the list of campaigns on the same page tells what is wrong.
  }
}

function acceptance({ new: added, retried, unchanged, duplicates }) {
  const parts = [
    `${count(added)} new`,
    retried ? `${count(retried)} tried again` : null,
    unchanged ? `${count(unchanged)} unchanged` : null,
    duplicates ? `${count(duplicates)} duplicates` : null,
  ];
  return `Accepted: ${parts.filter(Boolean).join(", ")}.`;
}

function problem(text) {
  return h("p", { class: "problem" }, text);
}

function refusal(error, go) {
  if (error.type === "bad-rows") return badRows(error.more, () => go({ bad_rows: "record" }));
  if (error.type === "campaign-seems-repeated") return repeated(error, () => go({ again: true }));
  return problem(error.detail);
}

function badRows({ rows, more_rows: more }, record) {
  const list = table({
    caption: "Rows that can't be used",
    columns: [
      { key: "line", title: "Line", cell: (bad) => bad.line },
      { key: "address", title: "Address", cell: (bad) => bad.address },
      { key: "reason", title: "Why", cell: (bad) => bad.reason },
    ],
    key: (bad) => bad.line,
    empty: "",
  });
  list.update(rows);
  const number = `${more ? "More than " : ""}${count(rows.length)} ${rows.length === 1 ? "row" : "rows"}`;
  return h(
    "div",
    { class: "bad-rows" },
    h("p", { class: "problem" }, `${number} can't be used. Nothing was recorded, and nothing is sent.`),
    list.element,
    h(
      "p",
      { class: "toolbar" },
      h("span", null, "Correct the list, and give it again. Or"),
      h("button", { type: "button", on: { click: record } }, "Send to the others, record bad addresses as invalid"),
    ),
  );
}

function repeated(error, again) {
  return h(
    "div",
    null,
    problem(error.detail),
    h(
      "p",
      { class: "toolbar" },
      h("a", { class: "button", href: `#/campaigns/${encodeURIComponent(error.more.campaign)}` }, "See that campaign"),
      h("button", { type: "button", class: "danger", on: { click: again } }, "Mail this list again"),
    ),
  );
}

/** The files of a job: what became of each, with pictures and downloads. */

import { show } from "./dialogs.js";
import { h } from "./dom.js";
import { bytes, seconds, state } from "./format.js";

const LARGE = ["web", "page", "preview"];
const LOOK_AGAIN_MS = 3000;
const KINDS = { image: "IMG", pdf: "PDF", text: "TXT", csv: "CSV", json: "JSON", archive: "ZIP" };

/**
 * Make a list of files that is told its entries again and again; what did not change stays, opened or not.
 *
 * @param {string} job - The address of the job below the API.
 * @returns {{element: HTMLElement, update: (entries: object[]) => void}}
 */
export function fileList(job) {
  const element = h("ul", { class: "files" });
  const shown = new Map();
  const update = (entries) => {
    const wanted = entries.map((entry) => {
      const text = JSON.stringify(entry);
      const known = shown.get(entry.file_id);
      if (known?.text === text) return known.element;
      const made = fileOf(entry, job);
      if (known) known.element.replaceWith(made);
      shown.set(entry.file_id, { text, element: made });
      return made;
    });
    if (wanted.length !== element.children.length || wanted.some((each, place) => each !== element.children[place])) {
      element.replaceChildren(...wanted);
    }
  };
  return { element, update };
}

function fileOf(entry, job) {
  const told = [entry.media_type, bytes(entry.bytes), entry.seconds === null ? null : seconds(entry.seconds)];
  return h(
    "li",
    { dataset: { file: entry.file_id, state: entry.status } },
    thumbnail(entry),
    h(
      "div",
      { class: "about" },
      h("div", { class: "toolbar" }, h("strong", { class: "name" }, entry.name), state(entry.status)),
      h("small", null, told.filter(Boolean).join(" · ")),
      entry.reason ? h("p", { class: "reason" }, entry.reason) : null,
      entry.status === "waiting" ? null : report(entry, job),
    ),
  );
}

function thumbnail(entry) {
  const small = entry.artefacts.find((artefact) => artefact.role === "preview");
  const kind = h("span", { class: "kind", "aria-hidden": "true" }, KINDS[entry.kind] ?? "?");
  if (!small) return h("div", { class: "thumbnail" }, kind);
  const picture = h("img", { src: small.self, alt: `Preview of ${entry.name}`, loading: "lazy", decoding: "async" });
  let tries = 0;
  picture.addEventListener("error", () => {
    tries += 1;
    if (tries === 1) setTimeout(() => picture.setAttribute("src", small.self), LOOK_AGAIN_MS);
    else picture.replaceWith(kind);
  });
  const large = entry.artefacts.find((artefact) => artefact.role === LARGE.find((role) => has(entry, role))) ?? small;
  const open = () =>
    show({ title: entry.name, content: h("img", { class: "large", src: large.self, alt: entry.name }) });
  return h(
    "button",
    { type: "button", class: "thumbnail", "aria-label": `Enlarge ${entry.name}`, on: { click: open } },
    picture,
  );
}

function has(entry, role) {
  return entry.artefacts.some((artefact) => artefact.role === role);
}

function report(entry, job) {
  return h(
    "details",
    null,
    h("summary", null, "Report and downloads"),
    facts({ kind: entry.kind, "SHA-256": entry.sha256, ...entry.facts }),
    downloads([
      { role: "original", self: `${job}/files/${entry.file_id}/original`, bytes: entry.bytes },
      ...entry.artefacts,
    ]),
    entry.members.length ? members(entry.members) : null,
  );
}

function facts(given) {
  const known = Object.entries(given).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  const fact = ([name, value]) => [h("dt", null, name.replaceAll("_", " ")), h("dd", null, text(value))];
  return h("dl", { class: "facts" }, known.map(fact));
}

function downloads(artefacts) {
  const link = (artefact) =>
    h(
      "li",
      null,
      h("a", { href: artefact.self, download: true }, artefact.role),
      h("small", null, bytes(artefact.bytes)),
    );
  return h("ul", { class: "downloads" }, artefacts.map(link));
}

function members(list) {
  const member = (each) =>
    h(
      "li",
      null,
      h("div", { class: "toolbar" }, h("span", { class: "name" }, each.name), state(each.status)),
      each.reason ? h("p", { class: "reason" }, each.reason) : downloads(each.artefacts),
    );
  return [h("h3", null, "Members"), h("ul", { class: "members" }, list.map(member))];
}

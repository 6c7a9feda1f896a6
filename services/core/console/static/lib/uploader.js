/** Takes files, shows them, and uploads them as one job. */

import { h, replace, write } from "./dom.js";
import { dropzone } from "./dropzone.js";
import { bytes, count } from "./format.js";
import { toast } from "./dialogs.js";
import { Cancelled, upload } from "./upload.js";

const MOST_FILES = 1000;
const MOST_SHOWN = 100;

/**
 * Make the place where files are given; when they are there, the page of their job is shown.
 *
 * @param {{signal: AbortSignal, navigate: (hash: string) => void}} context
 * @returns {HTMLElement}
 */
export function uploader({ signal, navigate }) {
  const given = h("div", { class: "given" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const notify = h("input", { type: "email", name: "notify", placeholder: "nobody", autocomplete: "email" });
  let files = [];

  const tell = (text) => {
    problem.hidden = !text;
    write(problem, text);
  };
  const take = (list) => {
    files = list.slice(0, MOST_FILES);
    tell(list.length > MOST_FILES ? `${count(MOST_FILES)} files go into one job; the last ones were left out.` : "");
    zone.hidden = false;
    replace(
      given,
      files.length ? [listOf(files, (file) => take(files.filter((other) => other !== file))), acts()] : null,
    );
  };
  const acts = () => {
    const size = files.reduce((sum, file) => sum + file.size, 0);
    const text = `Upload ${count(files.length)} ${files.length === 1 ? "file" : "files"}, ${bytes(size)}`;
    return h(
      "div",
      { class: "toolbar" },
      h("label", { class: "inline" }, "Mail the outcome to", notify),
      h("button", { type: "button", on: { click: () => take([]) } }, "Clear"),
      h("button", { type: "button", class: "primary", on: { click: go } }, text),
    );
  };
  const go = async () => {
    if (!notify.reportValidity()) return;
    tell("");
    zone.hidden = true;
    const place = h("div", null);
    const list = listOf(files);
    replace(given, list, place);
    const body = new FormData();
    if (notify.value) body.append("notify", notify.value);
    for (const file of files) body.append("files", file);
    try {
      const job = await upload("/jobs", { body, place, onProgress: (sent) => markSent(list, files, sent), signal });
      navigate(`#/jobs/${encodeURIComponent(job.id)}`);
    } catch (error) {
      if (signal.aborted)
        return toast("The upload was cancelled, for its page was left. Nothing was submitted.", "bad");
      take(files);
      tell(error instanceof Cancelled ? error.message : error.detail);
    }
  };
  const zone = dropzone({
    text: "Drop files here, or choose them",
    hint: "Images, PDF, text, tables, JSON, archives: together they become one job",
    multiple: true,
    onFiles: (more) => take([...files, ...more]),
  });
  return h("section", { class: "panel uploader", "aria-label": "Upload files" }, zone, given, problem);
}

function listOf(files, leaveOut) {
  const entry = (file) =>
    h(
      "li",
      null,
      h("span", { class: "name" }, file.name),
      h("small", null, bytes(file.size)),
      leaveOut ? remover(file, leaveOut) : null,
    );
  const hidden = files.length - MOST_SHOWN;
  const rest = hidden > 0 ? h("li", null, `and ${count(hidden)} more`) : null;
  return h("ul", { class: "files-given" }, files.slice(0, MOST_SHOWN).map(entry), rest);
}

function remover(file, leaveOut) {
  const label = `Leave out ${file.name}`;
  return h("button", { type: "button", class: "ghost", "aria-label": label, on: { click: () => leaveOut(file) } }, "×");
}

function markSent(list, files, sent) {
  let end = 0;
  files.slice(0, MOST_SHOWN).forEach((file, place) => {
    end += file.size;
    list.children[place].classList.toggle("sent", sent >= end);
  });
}

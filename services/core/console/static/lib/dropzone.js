/** A place for files: they are dropped on it, or picked with the browser's own dialog. */

import { h } from "./dom.js";

let numbers = 0;

/**
 * Make a place that takes files by drag-and-drop, by click and by keyboard.
 *
 * @param {object} options
 * @param {string} options.text - What it says.
 * @param {string} options.hint - What else is good to know.
 * @param {string} [options.accept] - Which files the browser's dialog offers.
 * @param {boolean} [options.multiple] - Whether it takes several at once.
 * @param {(files: File[]) => void} options.onFiles - Is told the files, each time that some come.
 * @returns {HTMLElement}
 */
export function dropzone({ text, hint, accept, multiple = false, onFiles }) {
  const id = `files-${(numbers += 1)}`;
  const input = h("input", { type: "file", id, class: "unseen", accept, multiple });
  const zone = h("label", { class: "dropzone", for: id }, input, h("strong", null, text), h("span", null, hint));
  const take = (list) => {
    const files = [...list].slice(0, multiple ? undefined : 1);
    if (files.length) onFiles(files);
  };
  input.addEventListener("change", () => {
    take(input.files);
    input.value = ""; // so that the same file can be picked again
  });
  const over = (event) => {
    event.preventDefault();
    zone.classList.add("over");
  };
  zone.addEventListener("dragenter", over);
  zone.addEventListener("dragover", over);
  zone.addEventListener("dragleave", (event) => zone.contains(event.relatedTarget) || zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take(event.dataTransfer.files);
  });
  return zone;
}

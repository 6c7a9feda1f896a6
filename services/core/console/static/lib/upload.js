/** Uploads that tell how far they are, and can be cancelled; `fetch` tells nothing of what it sends. */

import { Problem, address, headersOfChange } from "./api.js";
import { h, write } from "./dom.js";
import { bytes, seconds } from "./format.js";

const CUT_OFF = "The connection broke, or there is more of it than the API takes. Nothing was submitted.";

/** What is thrown when somebody cancelled an upload. */
export class Cancelled extends Error {}

/**
 * Send a body by POST, and show how much of it has gone out.
 *
 * @param {string} path - Such as "/jobs".
 * @param {object} options
 * @param {FormData|Blob} options.body
 * @param {object} [options.query]
 * @param {string} [options.type] - The Content-Type of a Blob.
 * @param {Element} options.place - Gets a bar and a button that cancels it; its children go.
 * @param {(sent: number) => void} [options.onProgress] - Is told how many bytes have gone out.
 * @param {AbortSignal} options.signal - Cancels it, too.
 * @returns {Promise<any>} The answer's JSON.
 * @throws {Problem} It was refused, or the connection broke.
 * @throws {Cancelled}
 */
export function upload(path, { body, query, type, place, onProgress, signal }) {
  const request = new XMLHttpRequest();
  const shown = progressOf(() => request.abort());
  const stay = (event) => event.preventDefault();
  const leave = () => request.abort();
  place.replaceChildren(shown.element);
  window.addEventListener("beforeunload", stay);
  signal.addEventListener("abort", leave);
  return new Promise((resolve, reject) => {
    request.upload.addEventListener("progress", (event) => {
      shown.update(event.loaded, event.total);
      onProgress?.(event.loaded);
    });
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(request.response);
      else reject(refusal(request));
    });
    request.addEventListener("error", () => reject(new Problem({ status: 0, title: "Cut off", detail: CUT_OFF })));
    request.addEventListener("abort", () => reject(new Cancelled("The upload was cancelled. Nothing was submitted.")));
    request.open("POST", address(path, query));
    request.responseType = "json";
    const headers = { ...headersOfChange(), ...(type ? { "Content-Type": type } : {}) };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(body);
  }).finally(() => {
    window.removeEventListener("beforeunload", stay);
    signal.removeEventListener("abort", leave);
  });
}

function refusal(request) {
  if (request.status === 401) document.dispatchEvent(new CustomEvent("switchyard:signed-out"));
  return new Problem({ title: request.statusText, ...request.response, status: request.status });
}

function progressOf(cancel) {
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Upload" });
  const text = h("span", { class: "how-far" }, "Starting…");
  const button = h("button", { type: "button", on: { click: cancel } }, "Cancel upload");
  const began = performance.now();
  const update = (sent, total) => {
    bar.value = total ? sent / total : 0;
    const rate = (sent / Math.max(performance.now() - began, 1)) * 1000;
    const left = seconds((total - sent) / Math.max(rate, 1));
    const told = `${bytes(sent)} of ${bytes(total)}, ${bytes(Math.round(rate))}/s, ${left} left`;
    write(text, sent < total ? told : `All ${bytes(total)} are there, and are being checked…`);
  };
  return { element: h("div", { class: "upload" }, bar, h("div", { class: "toolbar" }, text, button)), update };
}

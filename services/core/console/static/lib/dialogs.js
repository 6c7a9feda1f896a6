/** Questions that wait for an answer, and words that wait for none. */

import { h, replace } from "./dom.js";

const TOAST_SECONDS = 6;
let numbers = 0;

/**
 * Ask before something is done.
 *
 * @param {object} options
 * @param {string} options.title
 * @param {string|Node} options.text - What will happen.
 * @param {string} options.act - What the button says: a verb.
 * @param {boolean} [options.danger] - Whether it is for good.
 * @param {string} [options.typed] - A word that the person must type.
 * @returns {Promise<boolean>}
 */
export async function confirm({ title, text, act, danger = false, typed }) {
  const fields = typed
    ? [{ name: "typed", label: `Type ${typed} to go on`, required: true, must: (value) => value === typed }]
    : [];
  return (await form({ title, text, fields, act, danger })) !== null;
}

/**
 * Ask for something.
 *
 * @param {object} options
 * @param {string} options.title
 * @param {string|Node} [options.text]
 * @param {{name: string, label: string, type?: string, value?: any,
 *   options?: (string|{value: string, label: string})[], required?: boolean, help?: string, rows?: number,
 *   placeholder?: string, must?: (value: any) => boolean, attributes?: object}[]} options.fields - `type`: that of an input, or textarea, select, checkbox.
 * @param {string} options.act - What the button says.
 * @param {boolean} [options.danger]
 * @param {(values: object) => Promise<any>} [options.submit] - Done with the values; while it runs the button waits,
 *   and what it throws is shown in the dialog, which stays.
 * @returns {Promise<any>} The values by name, or what `submit` returned; null when the person changed their mind.
 */
export function form({ title, text, fields = [], act, danger = false, submit }) {
  return new Promise((resolve) => {
    const number = (numbers += 1);
    const inputs = fields.map((field) => inputOf(field, `field-${number}-${field.name}`));
    const problem = h("p", { class: "problem", role: "alert", hidden: true });
    const go = h("button", { type: "submit", class: danger ? "danger" : "primary" }, act);
    const cancel = h("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel");
    const look = () => (go.disabled = !fields.every((field, place) => isFine(field, inputs[place])));
    const content = h(
      "form",
      { novalidate: true, on: { submit: (event) => (event.preventDefault(), done()), input: look } },
      h("h2", { id: `dialog-${number}` }, title),
      text ? h("div", { class: "text" }, text) : null,
      fields.map((field, place) => labelled(field, inputs[place])),
      problem,
      h("div", { class: "acts" }, cancel, go),
    );
    let answer = null;

    async function done() {
      if (go.disabled) return;
      const values = Object.fromEntries(fields.map((field, place) => [field.name, valueOf(field, inputs[place])]));
      go.disabled = true;
      dialog.classList.add("busy");
      try {
        answer = submit ? ((await submit(values)) ?? true) : values;
        dialog.close();
      } catch (error) {
        problem.hidden = false;
        replace(problem, error.detail ?? error.message);
        look();
      } finally {
        dialog.classList.remove("busy");
      }
    }

    const dialog = open(content, `dialog-${number}`, () => resolve(answer));
    look();
    (inputs[0] ?? (danger ? cancel : go)).focus();
  });
}

/**
 * Show something in a dialog that is only read.
 *
 * @param {{title: string, content: Node|Node[]}} options
 */
export function show({ title, content }) {
  const number = (numbers += 1);
  const close = h("button", { type: "button", class: "primary", on: { click: () => dialog.close() } }, "Close");
  const body = h("div", null, h("h2", { id: `dialog-${number}` }, title), content, h("div", { class: "acts" }, close));
  const dialog = open(body, `dialog-${number}`, () => {});
  close.focus();
}

/**
 * Say something in passing; it is read out too, and goes by itself.
 *
 * @param {string} text
 * @param {"good"|"bad"|"none"} [kind]
 */
export function toast(text, kind = "good") {
  const close = h(
    "button",
    { type: "button", class: "ghost", "aria-label": "Dismiss", on: { click: () => node.remove() } },
    "×",
  );
  const node = h(
    "div",
    { class: `toast ${kind}`, role: kind === "bad" ? "alert" : null },
    h("span", null, text),
    close,
  );
  document.getElementById("toasts").append(node);
  setTimeout(() => node.remove(), TOAST_SECONDS * 1000 * (kind === "bad" ? 2 : 1));
}

/**
 * Do something, and say how it went.
 *
 * @param {() => Promise<any>} work
 * @param {string|((result: any) => string)} done - What is said when it is done.
 * @returns {Promise<any>} What the work returned, true if it returned nothing; null when it failed.
 */
export async function attempt(work, done) {
  try {
    const result = (await work()) ?? true;
    toast(typeof done === "function" ? done(result) : done, "good");
    return result;
  } catch (error) {
    if (error.name === "AbortError") return null;
    toast(error.detail ?? error.message, "bad");
    return null;
  }
}

function open(content, label, closed) {
  const before = document.activeElement;
  const dialog = h("dialog", { "aria-labelledby": label }, content);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus?.();
    closed();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function inputOf(field, id) {
  const { name, type = "text", value = "", required = false, placeholder, rows, options = [], attributes } = field;
  const common = {
    id,
    name,
    required,
    placeholder,
    "aria-describedby": field.help ? `${id}-help` : null,
    ...attributes,
  };
  if (type === "textarea") return h("textarea", { ...common, rows: rows ?? 8, spellcheck: "false", value });
  if (type === "checkbox") return h("input", { ...common, type, checked: Boolean(value) });
  if (type === "select") return h("select", { ...common, value }, options.map(optionOf));
  return h("input", { ...common, type, value, autocomplete: "off" });
}

function optionOf(option) {
  const { value, label } = typeof option === "string" ? { value: option, label: option } : option;
  return h("option", { value }, label);
}

function labelled(field, input) {
  const help = field.help ? h("span", { class: "help", id: `${input.id}-help` }, field.help) : null;
  if (field.type === "checkbox") return h("label", { class: "check" }, input, h("span", null, field.label), help);
  return h("label", { class: "field" }, h("span", null, field.label), input, help);
}

function valueOf(field, input) {
  if (field.type === "checkbox") return input.checked;
  if (field.type === "file") return input.files;
  return input.value;
}

function isFine(field, input) {
  const value = valueOf(field, input);
  const given = field.type === "file" ? value.length : field.type === "checkbox" ? value : value.trim();
  return (!field.required || Boolean(given)) && input.validity.valid && (!field.must || field.must(value));
}

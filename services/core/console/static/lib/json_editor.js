/** Edits the arguments of a task as JSON texts, exactly: no number and no time goes through JavaScript's types. */

import { h, write } from "./dom.js";

const KINDS = {
  args: { label: "Positional arguments, a list", fits: Array.isArray, wrong: "This must be a list: [ … ]" },
  kwargs: {
    label: "Keyword arguments, an object",
    fits: (value) => value !== null && typeof value === "object" && !Array.isArray(value),
    wrong: "This must be an object: { … }",
  },
};
const MOST_ROWS = 22;

/**
 * Make an editor.
 *
 * @param {object} options
 * @param {{args: string, kwargs: string}} options.given - JSON texts.
 * @param {{args: any, kwargs: any}|null} options.had - What they were before somebody changed them.
 * @param {(body: Blob) => Promise<any>} options.save - Takes the body of the request that edits.
 * @param {((body: Blob) => Promise<any>)|null} options.saveAndReplay
 * @param {() => Promise<any>} options.undo - Goes back to what they were.
 * @returns {Node[]}
 */
export function argumentsEditor({ given, had, save, saveAndReplay, undo }) {
  const fields = Object.entries(KINDS).map(([name, kind]) => fieldOf(name, kind, given[name]));
  const button = (text, kind, work) =>
    h("button", { type: "submit", class: kind, disabled: true, on: { click: () => (chosen = work) } }, text);
  let chosen = save;
  const saveButton = button("Save", "primary", save);
  const bothButton = saveAndReplay ? button("Save and replay…", "", saveAndReplay) : null;
  const look = () => {
    const fine = fields.map((field) => field.check()).every(Boolean);
    const changed = fields.some((field) => field.area.value !== given[field.name]);
    for (const each of [saveButton, bothButton]) if (each) each.disabled = !fine || !changed;
  };
  const submit = async (event) => {
    event.preventDefault();
    const texts = fields.map((field) => `"${field.name}": ${field.area.value}`);
    await chosen(new Blob([`{${texts.join(", ")}}`]));
  };
  return [
    h(
      "form",
      { class: "stack", on: { submit, input: look } },
      h(
        "div",
        { class: "editor" },
        fields.map((field) => field.element),
      ),
      h(
        "div",
        { class: "acts" },
        saveButton,
        bothButton,
        had ? h("button", { type: "button", class: "ghost", on: { click: undo } }, "Undo the edit") : null,
      ),
    ),
    had
      ? h(
          "details",
          null,
          h("summary", null, "What it died with"),
          h("pre", { class: "code" }, JSON.stringify(had, null, 2)),
        )
      : null,
  ];
}

/**
 * Say what is wrong with a text that should be JSON of a kind.
 *
 * @param {string} text
 * @param {"args"|"kwargs"} name
 * @returns {string} "" when nothing is.
 */
export function wrongWith(text, name) {
  try {
    return KINDS[name].fits(JSON.parse(text)) ? "" : KINDS[name].wrong;
  } catch (error) {
    return `This is no JSON: ${error.message}`;
  }
}

function fieldOf(name, { label }, text) {
  const wrong = h("span", { class: "wrong", id: `wrong-${name}`, role: "status" });
  const rows = Math.min(MOST_ROWS, text.split("\n").length + 1);
  const area = h("textarea", { name, rows, spellcheck: "false", "aria-describedby": wrong.id, value: text });
  const element = h("label", { class: "field" }, h("span", null, label), area, wrong);
  const check = () => {
    const told = wrongWith(area.value, name);
    write(wrong, told);
    area.setAttribute("aria-invalid", Boolean(told));
    return !told;
  };
  return { name, area, element, check };
}

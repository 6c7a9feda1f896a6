/** Filters above a list: kept in the address, so that what is found can be shared. */

import { h, replace } from "./dom.js";
import { count } from "./format.js";
import { renew } from "./renew.js";

const TYPING_MS = 300;
const AGES = { "15m": 900, "1h": 3600, "24h": 86_400, "7d": 604_800 };

/** What can be chosen for "since". */
export const SINCE = [
  { value: "", label: "Any time" },
  { value: "15m", label: "Last 15 min" },
  { value: "1h", label: "Last hour" },
  { value: "24h", label: "Last 24 h" },
  { value: "7d", label: "Last 7 days" },
];

/**
 * Make filters.
 *
 * @param {{name: string, label: string, type: "search"|"text"|"select"|"one"|"many", placeholder?: string,
 *   options?: {value: string, label: string, count?: number}[]}[]} fields - `one` and `many`: buttons, of which one or any
 *   number is pressed. The options of a text are offered while somebody writes.
 * @param {URLSearchParams} query - What is filtered by at first.
 * @param {(values: Record<string, string|string[]>) => void} onChange
 * @returns {{element: HTMLElement, values: () => Record<string, string|string[]>,
 *   offer: (name: string, options: {value: string, label: string, count?: number}[]) => void}} `offer` changes what can be
 *   chosen; what is chosen stays.
 */
export function filters(fields, query, onChange) {
  const made = new Map(
    fields.map((field) => [field.name, MAKERS[field.type](field, query.getAll(field.name), changed)]),
  );
  const all = [...made.values()];
  const clear = h("button", { type: "button", class: "ghost small", on: { click: forget } }, "Clear filters");
  const rows = all.filter((each) => each.row).map((each) => each.element);
  const inline = all.filter((each) => !each.row).map((each) => each.element);
  const element = h(
    "form",
    { class: "filters", role: "search", on: { submit: (event) => event.preventDefault() } },
    inline,
    clear,
    rows,
  );

  function values() {
    return Object.fromEntries([...made].map(([name, each]) => [name, each.value()]));
  }

  function look() {
    clear.hidden = !Object.values(values()).some((value) => value.length);
  }

  function changed() {
    look();
    onChange(values());
  }

  function forget() {
    for (const each of all) each.clear();
    changed();
  }

  look();
  return { element, values, offer: (name, options) => made.get(name).offer(options) };
}

/**
 * Return the instant that an age stands for.
 *
 * @param {string} age - One of `SINCE`.
 * @returns {string|null} As ISO 8601 text.
 */
export function instantOf(age) {
  return age in AGES ? new Date(Date.now() - AGES[age] * 1000).toISOString() : null;
}

const MAKERS = { search: textOf, text: textOf, select: selectOf, one: buttonsOf, many: buttonsOf };

function textOf({ name, label, type, placeholder }, [given = ""], changed) {
  const list = h("datalist", { id: `filter-${name}` });
  const shared = { name, type, value: given, placeholder: placeholder ?? label, "aria-label": label, list: list.id };
  const input = h("input", { ...shared, autocomplete: "off", spellcheck: "false" });
  let typing;
  input.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(changed, TYPING_MS);
  });
  return {
    element: [input, list],
    value: () => input.value.trim(),
    clear: () => (input.value = ""),
    offer: (options) => replace(list, options.map(optionOf)),
  };
}

function selectOf({ name, label, options = [] }, [given = ""], changed) {
  const select = h("select", { name, "aria-label": label, on: { change: changed } }, options.map(optionOf));
  choose(given);

  /** What an address asks for may not be among what is offered; it is shown all the same. */
  function choose(value) {
    const there = [...select.options].some((option) => option.value === value);
    if (value && !there) select.append(h("option", { value }, value));
    select.value = value;
  }

  function offer(others) {
    const value = select.value;
    renew(select, select.options[0].cloneNode(true), others.map(optionOf));
    choose(value);
  }

  return { element: select, value: () => select.value, clear: () => choose(""), offer };
}

function buttonsOf({ label, type, options = [] }, given, changed) {
  const element = h("div", { class: "choices", role: "group", "aria-label": label });
  const chosen = new Set(type === "one" ? given.slice(0, 1) : given);
  let offered = options;

  function press(value) {
    const was = chosen.has(value);
    if (type === "one") chosen.clear();
    if (was) chosen.delete(value);
    else chosen.add(value);
    draw();
    changed();
  }

  function draw() {
    const others = [...chosen].filter((value) => !offered.some((option) => option.value === value));
    const shown = [...offered, ...others.map((value) => ({ value, label: value, count: 0 }))];
    renew(
      element,
      shown.map((option) => buttonOf(option, chosen.has(option.value), () => press(option.value))),
    );
  }

  draw();
  return {
    element,
    row: true,
    value: () => (type === "one" ? ([...chosen][0] ?? "") : [...chosen]),
    clear: () => (chosen.clear(), draw()),
    offer: (others) => ((offered = others), draw()),
  };
}

function buttonOf({ label, count: many }, pressed, act) {
  const number = many === undefined ? null : [" ", h("strong", null, count(many))];
  return h(
    "button",
    { type: "button", class: "choice", "aria-pressed": String(pressed), on: { click: act } },
    label,
    number,
  );
}

function optionOf({ value, label, count: many }) {
  return h("option", { value }, many === undefined ? label : `${label} (${count(many)})`);
}

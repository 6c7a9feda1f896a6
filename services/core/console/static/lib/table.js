/** Tables that are told their rows again and again, and touch what has changed. */

import { h, replace } from "./dom.js";

const INTERACTIVE = "a, button, input, select, textarea, label, summary";

/**
 * Make a table.
 *
 * @param {object} options
 * @param {string} options.caption - What it shows; read out, and not seen.
 * @param {{key: string, title: string, cell: (row: any, latest: () => any) => Node|string|number|null,
 *   numeric?: boolean, sort?: (row: any) => number|string|null, link?: boolean, minor?: boolean, hidden?: boolean}[]}
 *   options.columns - `sort` gives what the column is sorted by. The first column, or the one with `link`, bears the
 *   link of the row. `minor` ones are not shown on phones; of `hidden` ones the title is read out alone. A cell that
 *   looks the same as before stays: what listens in it asks `latest()` for the row.
 * @param {(row: any) => string|number} options.key - What tells one row from another.
 * @param {string|Node} options.empty - Shown instead of no rows: what to do about it.
 * @param {(row: any) => string|null} [options.href] - Where a row leads.
 * @param {(row: any) => string} [options.mood] - A class for a row.
 * @param {{key: string, descending?: boolean}} [options.sorted] - The column it is sorted by at first; else the rows
 *   keep the order that they come in.
 * @returns {{element: HTMLElement, update: (rows: any[]) => void}}
 */
export function table({ caption, columns, key, empty, href, mood, sorted }) {
  const body = h("tbody", null);
  const heads = columns.map((column) => headOf(column, () => sortBy(column)));
  const grid = h(
    "table",
    null,
    h("caption", { class: "unseen" }, caption),
    h("thead", null, h("tr", null, heads)),
    body,
  );
  const nothing = h("div", { class: "empty" }, empty);
  const element = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, grid, nothing);
  const linked = columns.find((column) => column.link) ?? columns[0];
  const shown = new Map();
  let latest = [];
  let order = sorted ?? null;
  grid.hidden = nothing.hidden = true;

  function sortBy(column) {
    const again = order?.key === column.key;
    order = { key: column.key, descending: again ? !order.descending : Boolean(column.numeric) };
    update(latest);
  }

  function update(rows) {
    latest = rows;
    grid.hidden = !rows.length;
    nothing.hidden = Boolean(rows.length);
    columns.forEach((column, place) => markOrder(heads[place], column, order));
    const present = new Set();
    let next = body.firstChild;
    for (const row of inOrder(rows, columns, order)) {
      const name = String(key(row));
      present.add(name);
      const known = shown.get(name) ?? begin(name);
      refresh(known, row);
      if (known.element === next) next = next.nextSibling;
      else body.insertBefore(known.element, next);
    }
    for (const [name, known] of shown) {
      if (present.has(name)) continue;
      known.element.remove();
      shown.delete(name);
    }
  }

  function begin(name) {
    const cells = columns.map((column) => h(column === linked ? "th" : "td", classesOf(column)));
    if (cells[columns.indexOf(linked)]) cells[columns.indexOf(linked)].scope = "row";
    const known = { row: null, cells, values: columns.map(() => undefined) };
    known.element = h("tr", { dataset: { key: name }, on: { click: (event) => lead(event, known, href) } }, cells);
    shown.set(name, known);
    return known;
  }

  function refresh(known, row) {
    known.row = row;
    const wanted = mood?.(row) ?? "";
    if (known.element.className !== wanted) known.element.className = wanted;
    const target = href?.(row);
    known.element.classList.toggle("leads", Boolean(target));
    columns.forEach((column, place) => {
      const told = column.cell(row, () => known.row) ?? "";
      const value = column === linked && target ? h("a", { href: target }, told) : told;
      put(known.cells[place], value, known.values[place]);
      known.values[place] = value;
    });
  }

  return { element, update };
}

function put(cell, value, before) {
  if (value instanceof Node) {
    if (before instanceof Node && before.isEqualNode(value) && cell.firstChild?.isEqualNode(value)) return;
  } else if (before === value) {
    return;
  }
  const held = cell.contains(document.activeElement);
  replace(cell, value);
  if (held) cell.querySelector(INTERACTIVE)?.focus();
}

function lead(event, known, href) {
  const target = href?.(known.row);
  if (!target || event.target.closest(INTERACTIVE) || String(getSelection())) return;
  if (event.ctrlKey || event.metaKey) window.open(target, "_blank", "noopener");
  else location.assign(target);
}

function headOf(column, sort) {
  const title = column.hidden ? h("span", { class: "unseen" }, column.title) : column.title;
  const content = column.sort ? h("button", { type: "button", class: "sort", on: { click: sort } }, title) : title;
  return h("th", { scope: "col", dataset: { column: column.key }, ...classesOf(column) }, content);
}

function classesOf(column) {
  const names = [column.numeric && "numeric", column.minor && "minor"].filter(Boolean).join(" ");
  return names ? { class: names } : {};
}

function markOrder(head, column, order) {
  if (order?.key === column.key) head.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
  else head.removeAttribute("aria-sort");
}

function inOrder(rows, columns, order) {
  const by = columns.find((column) => column.key === order?.key)?.sort;
  if (!by) return rows;
  const sign = order.descending ? -1 : 1;
  return rows
    .map((row, place) => ({ row, place, value: by(row) ?? null }))
    .sort((one, other) => compare(one.value, other.value, sign) || one.place - other.place)
    .map(({ row }) => row);
}

function compare(one, other, sign) {
  if (one === other) return 0;
  if (one === null) return 1; // what is not known comes last, either way
  if (other === null) return -1;
  return sign * (typeof one === "string" ? one.localeCompare(String(other), "en", { numeric: true }) : one - other);
}

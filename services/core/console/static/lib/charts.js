/** Small charts. */

import { h, svg } from "./dom.js";

/**
 * Draw a line of the last values; gaps are what was not known.
 *
 * @param {(number|null)[]} values - The oldest first.
 * @param {{label?: string, width?: number, height?: number, slots?: number}} [options] - `slots`: how many values fill
 *   the width; fewer begin at the right.
 * @returns {SVGElement}
 */
export function sparkline(values, { label = "", width = 96, height = 22, slots = values.length } = {}) {
  const most = Math.max(1, ...values.map((value) => value ?? 0));
  const step = width / Math.max(1, slots - 1);
  const first = Math.max(0, slots - values.length);
  const place = (value, index) => [(first + index) * step, height - 1.5 - (value / most) * (height - 3)];
  let line = "";
  let area = "";
  let begun = null;
  values.forEach((value, index) => {
    if (value === null || value === undefined) {
      area += closed(begun, height);
      begun = null;
      return;
    }
    const [x, y] = place(value, index).map((number) => Math.round(number * 10) / 10);
    line += `${begun ? "L" : "M"}${x} ${y}`;
    area += begun ? `L${x} ${y}` : `M${x} ${height}L${x} ${y}`;
    begun = { x };
  });
  area += closed(begun, height);
  return svg(
    "svg",
    {
      class: "sparkline",
      viewBox: `0 0 ${width} ${height}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": label,
    },
    svg("path", { class: "area", d: area }),
    svg("path", { class: "line", d: line }),
  );
}

/**
 * Draw how a whole is made up, as one bar.
 *
 * @param {{value: number, tone?: string, label: string, colour?: string}[]} parts - `tone` as for badges.
 * @param {{total?: number}} [options] - `total`: of the whole bar; the sum of its parts by default.
 * @returns {HTMLElement}
 */
export function bar(parts, { total } = {}) {
  const there = parts.filter((part) => part.value > 0);
  const whole = Math.max(
    total ?? 0,
    there.reduce((sum, part) => sum + part.value, 0),
    1,
  );
  const text = parts.map((part) => `${part.label}: ${part.value}`).join(", ");
  return h(
    "div",
    { class: "bar", role: "img", "aria-label": text, title: text },
    there.map((part) => {
      const style = {
        "--share": `${(part.value / whole) * 100}%`,
        ...(part.colour ? { "--colour": part.colour } : {}),
      };
      return h("span", { class: part.tone ?? "none", style });
    }),
  );
}

function closed(begun, height) {
  return begun ? `L${begun.x} ${height}Z` : "";
}

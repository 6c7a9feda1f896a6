/** Icons, drawn in lines of the colour of the text. */

import { svg } from "./dom.js";

const LINES = {
  overview: "M2.5 13.5v-4M6.2 13.5v-7M9.8 13.5V8M13.5 13.5v-11",
  queues: "M2.5 4h11M2.5 8h11M2.5 12h7",
  workers: "M5 2.5v2M11 2.5v2M5 11.5v2M11 11.5v2M2.5 5h2M2.5 11h2M11.5 5h2M11.5 11h2M4.5 4.5h7v7h-7z",
  tasks: "M6.5 4H13.5M6.5 8H13.5M6.5 12H13.5M2.5 4l.8.8L4.6 3.3M2.5 8l.8.8L4.6 7.3M2.5 12l.8.8 1.3-1.5",
  workflows:
    "M4 4a1.5 1.5 0 1 0-.01 0M12 4a1.5 1.5 0 1 0-.01 0M8 14.5a1.5 1.5 0 1 0-.01 0M4 4v2.5c0 1.5 4 1.5 4 5M12 4v2.5c0 1.5-4 1.5-4 5",
  dead: "M8 5.5v3.5M8 11.2v.1M8 2 1.8 13.2h12.4z",
  campaigns: "M2 4h12v8.5H2zM2 4.5l6 4.5 6-4.5",
  jobs: "M4 1.8h5L12.5 5.3v9H4zM9 2v3.5h3.5",
  schedule: "M8 14a6 6 0 1 0-.01 0M8 4.5V8l2.5 1.5",
  access: "M5.5 8.5a2.5 2.5 0 1 0-.01 0M7.3 8l6.2 0M11 8v2.5M13.5 8v2",
  menu: "M2 4h12M2 8h12M2 12h12",
  light:
    "M8 10.8a2.8 2.8 0 1 0-.01 0M8 1.5v1.5M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1.1 1.1M11.5 11.5l1.1 1.1M3.4 12.6l1.1-1.1M11.5 4.5l1.1-1.1",
  dark: "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z",
  auto: "M2 3h12v8H2zM6 14h4M8 11v3",
  out: "M6.5 2.5h-4v11h4M6 8h8M11 5l3 3-3 3",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  play: "M5 3l8 5-8 5z",
  search: "M7 11.5a4.5 4.5 0 1 0-.01 0M10.3 10.3l3.7 3.7",
};

/**
 * Draw an icon; it says nothing to who can't see it, so text or a label stands beside it.
 *
 * @param {keyof LINES} name
 * @returns {SVGElement}
 */
export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: LINES[name] }));
}

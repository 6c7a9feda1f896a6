/** The times of a task: sent, received, started, ended. */

import { h } from "./dom.js";
import { seconds } from "./format.js";
import { toneOfTask } from "./task_states.js";

const EXACT = { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 };

/**
 * Draw the times of a task as a bar, for how long it waited and ran, and as a list.
 *
 * @param {{state: string, sent_at: number|null, received_at?: number|null, started_at: number|null,
 *   ended_at: number|null}} task - Times in seconds since the epoch.
 * @param {number} [now] - Until when it runs, or waits, if it does.
 * @returns {HTMLElement}
 */
export function timeline(task, now = Date.now() / 1000) {
  const ended = task.ended_at !== null && task.ended_at >= (task.started_at ?? 0) ? task.ended_at : null;
  const points = [
    { name: "Sent", at: task.sent_at, then: "waited in its queue", tone: "wait" },
    { name: "Received", at: task.received_at ?? null, then: "waited in its worker", tone: "none" },
    { name: "Started", at: task.started_at, then: "ran", tone: toneOfTask(task.state) },
    { name: "Ended", at: ended },
  ].filter((point) => point.at !== null);
  const open = ended === null && ["sent", "received", "started"].includes(task.state);
  const parts = points.flatMap((point, place) => {
    const until = points[place + 1]?.at ?? (open ? now : null);
    return until === null || !point.then ? [] : [{ ...point, long: Math.max(0, until - point.at) }];
  });
  const whole = parts.reduce((sum, part) => sum + part.long, 0);
  const told = parts.map((part) => `${part.then} ${seconds(part.long)}`).join(", ");
  const track = h(
    "div",
    { class: "track", role: "img", "aria-label": told || "Nothing is known of its times", title: told },
    parts.map((part) => h("span", { class: part.tone, style: { "--share": whole ? part.long / whole : 1 } })),
  );
  return h(
    "div",
    { class: "times" },
    parts.length ? track : null,
    h(
      "ol",
      null,
      points.map((point) => entry(point, parts, open)),
    ),
  );
}

function entry(point, parts, open) {
  const part = parts.find((each) => each.name === point.name);
  const goesOn = open && part === parts.at(-1);
  const at = new Date(point.at * 1000);
  return h(
    "li",
    null,
    h("span", null, point.name),
    h("time", { datetime: at.toISOString(), title: at.toISOString() }, at.toLocaleTimeString(undefined, EXACT)),
    h(
      "span",
      { class: "after" },
      part
        ? `${goesOn ? part.then.replace("waited", "waits").replace("ran", "runs") : part.then} ${seconds(part.long)}`
        : "",
    ),
  );
}

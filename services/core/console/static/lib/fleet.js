/** How queues stand: asked, remembered for a while, and summed up. */

import { get } from "./api.js";
import { sparkline } from "./charts.js";
import { badge, brokerColour, count, seconds } from "./format.js";

/** How often pages ask anew, in seconds; all who ask share what the API heard in the last two. */
export const ASK_EVERY = 3;

const FEWEST_SLOTS = 20;
const MOST_SLOTS = 100; // five minutes
const GAP_MS = 15_000;
const LONG_WAIT_SECONDS = 300;
const trends = new Map();
let lastAt = 0;

/**
 * Ask how all queues stand, and remember their depths for the trends.
 *
 * @param {{signal: AbortSignal, fresh?: boolean}} options - `fresh`: after an act; else an answer of the last seconds
 *   may do.
 * @returns {Promise<{entries: object[], brokers: Record<string, boolean>, sampled_at: string}>}
 */
export async function askQueues({ signal, fresh = false }) {
  const answer = await get("/queues", { query: { fresh: fresh || null }, signal });
  const at = Date.parse(answer.sampled_at);
  if (at > lastAt) {
    const gap = lastAt > 0 && at - lastAt > GAP_MS;
    lastAt = at;
    const sums = Object.entries(answer.brokers).map(([name]) => [
      `broker:${name}`,
      sum(
        answer.entries.filter((queue) => queue.broker === name),
        "ready",
      ),
    ]);
    for (const [name, depth] of [...answer.entries.map((queue) => [queue.name, queue.ready]), ...sums]) {
      const known = trends.get(name) ?? [];
      if (gap) known.push(null);
      known.push(depth);
      trends.set(name, known.slice(-MOST_SLOTS));
    }
  }
  return answer;
}

/**
 * Return the last depths of a queue, or of a broker as "broker:NAME", as far as this page has seen them.
 *
 * @param {string} name
 * @returns {(number|null)[]} The oldest first.
 */
export function trendOf(name) {
  return trends.get(name) ?? [];
}

/**
 * Return how many values the width of a trend is for: it is wide from the start, and holds minutes in the end.
 *
 * @param {(number|null)[]} trend
 * @returns {number}
 */
export function slotsOf(trend) {
  return Math.max(trend.length, FEWEST_SLOTS);
}

/**
 * Draw the trend of a queue, for a cell of a table.
 *
 * @param {object} queue
 * @returns {SVGElement}
 */
export function trendCell(queue) {
  const trend = trendOf(queue.name);
  const chart = sparkline(trend, { label: `Ready in ${queue.name}, the last minutes`, slots: slotsOf(trend) });
  chart.style.setProperty("--colour", brokerColour(queue.broker));
  return chart;
}

/**
 * Write how long the message has waited that goes out next; nothing where there is none.
 *
 * @param {object} queue
 * @returns {string}
 */
export function waitOf(queue) {
  return queue.ready === 0 ? "" : seconds(queue.oldest_seconds);
}

/**
 * Sum up a number over queues; null when that of one is not known.
 *
 * @param {object[]} queues
 * @param {string} field
 * @returns {number|null}
 */
export function sum(queues, field) {
  return queues.reduce((whole, queue) => (whole === null || queue[field] === null ? null : whole + queue[field]), 0);
}

/**
 * Return the longest wait of a message that is ready; null when there is none, or nobody can say.
 *
 * @param {object[]} queues
 * @returns {number|null}
 */
export function longestWait(queues) {
  const known = queues.map((queue) => queue.oldest_seconds).filter((wait) => wait !== null);
  return known.length ? Math.max(...known) : null;
}

/**
 * Say how a queue is, as a badge.
 *
 * @param {object} queue
 * @returns {HTMLElement}
 */
export function stateOfQueue(queue) {
  if (!queue.up) return badge("unknown", "bad");
  if (queue.paused) return badge("paused", "warn");
  if (queue.consumers === 0) return badge("no worker", queue.ready ? "bad" : "none");
  if (queue.consumers === null) return badge("workers unknown", "none");
  return badge("served", "good");
}

/**
 * Say what about the queues a person should look at, the worst first.
 *
 * @param {object[]} queues
 * @param {Record<string, boolean>} brokers
 * @returns {{tone: string, text: string, href: string}[]}
 */
export function concernsOf(queues, brokers) {
  const down = Object.entries(brokers).filter(([, up]) => !up);
  const found = down.map(([name]) => ({
    tone: "bad",
    text: `Broker ${name} can't be asked: what is in its queues is not known.`,
    href: `#/queues?broker=${name}`,
  }));
  for (const queue of queues) {
    const href = `#/queues/${encodeURIComponent(queue.name)}`;
    if (queue.paused) {
      found.push({ tone: "warn", text: `${queue.name} is paused by ${queue.paused.by}.`, href });
    } else if (queue.consumers === 0 && queue.ready > 0) {
      const waiting = queue.ready === 1 ? "a message waits" : `${count(queue.ready)} messages wait`;
      found.push({ tone: "bad", text: `No worker serves ${queue.name}, where ${waiting}.`, href });
    } else if ((queue.oldest_seconds ?? 0) > LONG_WAIT_SECONDS) {
      found.push({
        tone: "warn",
        text: `${queue.name} is behind: its oldest message has waited ${seconds(queue.oldest_seconds)}.`,
        href,
      });
    }
  }
  return found.sort((one, other) => one.tone.localeCompare(other.tone));
}

/** What can be done with a queue, by who may. */

import { get, send } from "./api.js";
import { attempt, confirm } from "./dialogs.js";
import { count } from "./format.js";

/**
 * Pause or resume a queue, and say how it went.
 *
 * @param {object} queue
 * @returns {Promise<any>} null when it failed.
 */
export function pauseOrResume(queue) {
  const act = queue.paused ? "resume" : "pause";
  const done = queue.paused
    ? `${queue.name} is resumed; its workers take it up again.`
    : `${queue.name} is paused; its workers end what they hold.`;
  return attempt(() => send("POST", `/queues/${encodeURIComponent(queue.name)}/${act}`), done);
}

/**
 * Purge a queue, once the person has typed its name.
 *
 * @param {object} queue
 * @returns {Promise<any>} null when they changed their mind, or it failed.
 */
export async function purge(queue) {
  const ready = await readyNow(queue.name);
  const many =
    ready === null ? "All ready messages" : ready === 1 ? "The ready message" : `The ${count(ready)} ready messages`;
  const agreed = await confirm({
    title: `Purge ${queue.name}?`,
    text: `${many} will be removed for good. What workers hold, and what waits for its time, stays.`,
    act: "Purge",
    danger: true,
    typed: queue.name,
  });
  if (!agreed) return null;
  return attempt(
    () => send("POST", `/queues/${encodeURIComponent(queue.name)}/purge`),
    ({ removed }) => `${count(removed)} ${removed === 1 ? "message was" : "messages were"} removed from ${queue.name}.`,
  );
}

async function readyNow(name) {
  try {
    const { entries } = await get("/queues", { query: { fresh: true } });
    return entries.find((queue) => queue.name === name)?.ready ?? null;
  } catch {
    return null; // the dialog names no number then
  }
}

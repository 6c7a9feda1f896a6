/** What can be done with dead letters: replay them, after a look at what that would do, and drop them. */

import { send } from "./api.js";
import { confirm, form, toast } from "./dialogs.js";
import { h } from "./dom.js";
import { count } from "./format.js";

/** How many are taken at once; the API takes no more. */
export const MOST_AT_ONCE = 1000;
const MOST_REASONS = 8;

/**
 * Replay dead letters, once the person has seen how many can be.
 *
 * @param {number[]} numbers - Up to `MOST_AT_ONCE` of them.
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>} Whether any were replayed.
 */
export async function replayLetters(numbers, signal) {
  const ask = (dry) => send("POST", "/dead/replay", { body: { numbers, limit: MOST_AT_ONCE, dry_run: dry }, signal });
  let dry;
  try {
    dry = await ask(true);
  } catch (error) {
    if (!signal.aborted) toast(error.detail ?? error.message, "bad");
    return false;
  }
  const many = dry.replayed.length;
  const done = await form({
    title: many ? `Replay ${letters(many)}?` : "None of them can be replayed",
    text: planOf(dry, numbers.length),
    act: many ? `Replay ${count(many)}` : "Close",
    submit: many ? () => ask(false) : async () => false,
  });
  if (!done?.replayed) return false;
  toast(`${letters(done.replayed.length)} ${done.replayed.length === 1 ? "is" : "are"} on the way.`);
  return true;
}

/**
 * Drop dead letters for good, once the person has agreed.
 *
 * @param {number[]} numbers - Up to `MOST_AT_ONCE` of them.
 * @returns {Promise<boolean>} Whether any were dropped.
 */
export async function dropLetters(numbers) {
  const many = numbers.length;
  const agreed = await confirm({
    title: `Drop ${letters(many)}?`,
    text: "They are removed for good, with their arguments: nothing can replay them then.",
    act: "Drop",
    danger: true,
    typed: many > 1 ? String(many) : undefined,
  });
  if (!agreed) return false;
  try {
    const body = { numbers, limit: MOST_AT_ONCE };
    const { dropped } = await send(
      "POST",
      many === 1 ? `/dead/${numbers[0]}/drop` : "/dead/drop",
      many === 1 ? {} : { body },
    );
    toast(`${letters(dropped)} ${dropped === 1 ? "was" : "were"} dropped.`);
    return true;
  } catch (error) {
    toast(error.detail ?? error.message, "bad");
    return false;
  }
}

function letters(many) {
  return `${count(many)} dead ${many === 1 ? "letter" : "letters"}`;
}

function planOf({ replayed, refused }, asked) {
  const gone = asked - replayed.length - refused.length;
  const reasons = new Map();
  for (const { reason } of refused) {
    const told = reason.replace(/^Dead letter \d+ can't be replayed: /, "");
    reasons.set(told, (reasons.get(told) ?? 0) + 1);
  }
  return h(
    "div",
    { class: "stack" },
    h(
      "p",
      null,
      `Dry run: ${count(replayed.length)} would be replayed, ${count(refused.length)} can't be. Nothing was changed yet.`,
    ),
    refused.length
      ? h(
          "ul",
          null,
          [...reasons].slice(0, MOST_REASONS).map(([told, many]) => h("li", null, `${count(many)}: ${told}`)),
        )
      : null,
    gone > 0 ? h("p", null, `${count(gone)} were replayed already, or are no longer there.`) : null,
    replayed.length
      ? h("p", null, "Their messages are published again as they were, or as they were edited; their workflows go on.")
      : null,
  );
}

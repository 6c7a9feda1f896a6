/** Asks for what a page shows besides what it asks for by the clock. */

import { mark } from "./live.js";

/**
 * Make a function that asks for something, once more when it was called meanwhile, and says when that fails.
 *
 * @param {() => Promise<void>} work
 * @param {AbortSignal} signal - Of the page; after it nothing is said.
 * @returns {() => Promise<void>} Ends when nothing is asked for any more; raises nothing.
 */
export function asking(work, signal) {
  let running = null;
  let again = false;
  const run = async () => {
    do {
      again = false;
      try {
        await work();
        mark(work, null);
      } catch (error) {
        if (!signal.aborted) mark(work, error);
      }
    } while (again && !signal.aborted);
  };
  signal.addEventListener("abort", () => mark(work, null));
  return () => {
    again = true;
    running ??= run().finally(() => (running = null));
    return running;
  };
}

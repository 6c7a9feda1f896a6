/** How quickly something goes on, seen from its counts. */

const WINDOW_SECONDS = 10;
const KEPT = 60;

/** Remembers how much was done when, and tells the pace of it. */
export class Pace {
  #looks = [];

  /**
   * Take a look.
   *
   * @param {number} done - How much is done by now.
   * @param {number} [at] - When, in seconds.
   */
  look(done, at = performance.now() / 1000) {
    this.#looks.push({ done, at });
    if (this.#looks.length > KEPT) this.#looks.shift();
  }

  /** Forget all looks, as while nothing is meant to go on. */
  rest() {
    this.#looks = [];
  }

  /** @returns {number|null} How much was done per second of late; null when that is not known yet. */
  get perSecond() {
    const last = this.#looks.at(-1);
    const first = this.#looks.find((look) => look.at >= last.at - WINDOW_SECONDS);
    return last && last.at > first.at ? Math.max(0, (last.done - first.done) / (last.at - first.at)) : null;
  }

  /** @returns {number[]} How much was done per second from each look to the next, the oldest first. */
  get history() {
    return this.#looks.slice(1).map((look, place) => {
      const before = this.#looks[place];
      return Math.max(0, (look.done - before.done) / (look.at - before.at));
    });
  }
}

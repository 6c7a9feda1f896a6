/** Does long work in slices, so that the page answers in between. */

const SLICE_MS = 12;
const FRAME_MS = 100;

/**
 * Do something with each, and let the browser draw in between.
 *
 * @param {Iterable<any>} all
 * @param {(each: any) => void} act
 * @param {() => boolean} goesOn - Asked after each slice.
 * @returns {Promise<boolean>} Whether it came to the end.
 */
export async function inSlices(all, act, goesOn) {
  let began = performance.now();
  for (const each of all) {
    if (performance.now() - began > SLICE_MS) {
      await nextFrame();
      if (!goesOn()) return false;
      began = performance.now();
    }
    act(each);
  }
  return true;
}

/** Pages that are hidden get no frames, so they wait for the clock. */
function nextFrame() {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, FRAME_MS);
    requestAnimationFrame(() => {
      clearTimeout(timer);
      setTimeout(resolve);
    });
  });
}

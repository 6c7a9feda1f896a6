/** Moves what is drawn: by dragging, wheel, two fingers, and as asked. */

const LEAST = 0.04;
const MOST = 2.5;
const MARGIN = 28;
const DRAG_FROM = 4;
/** Below this scale words can't be read, and are not drawn. */
const FAR = 0.42;
/** Words come and go once the zoom has come to rest, not with each step of it. */
const SETTLED_MS = 60;

/**
 * Let a drawing be moved within its frame.
 *
 * @param {SVGSVGElement} frame
 * @param {SVGGElement} world - What moves.
 * @returns {{fit: (box: object) => void, show: (box: object) => void, zoom: (factor: number) => void,
 *   move: (x: number, y: number) => void, toFrame: (x: number, y: number) => {x: number, y: number},
 *   isMoved: () => boolean, scale: () => number, onChange: (listener: () => void) => void}}
 */
export function camera(frame, world) {
  const view = { x: 0, y: 0, scale: 1 };
  const fingers = new Map();
  let moved = false;
  let dragged = false;
  let frameAsked = null;
  let farAsked = null;
  let listener = () => {};

  function apply() {
    world.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
    listener();
    clearTimeout(farAsked);
    farAsked = setTimeout(tellFar, SETTLED_MS);
  }

  function tellFar() {
    frame.classList.toggle("far", view.scale < FAR);
  }

  /** Fingers and wheels tell more often than there are frames. */
  function applySoon() {
    frameAsked ??= requestAnimationFrame(() => {
      frameAsked = null;
      apply();
    });
  }

  function zoomAt(x, y, factor, draw = applySoon) {
    const scale = Math.min(MOST, Math.max(LEAST, view.scale * factor));
    const by = scale / view.scale;
    Object.assign(view, { x: x - (x - view.x) * by, y: y - (y - view.y) * by, scale });
    moved = true;
    draw();
  }

  function move(x, y, draw = apply) {
    view.x += x;
    view.y += y;
    moved = true;
    draw();
  }

  function fit(box, most = 1) {
    const { width, height } = frame.getBoundingClientRect();
    if (!width || !height || !box) return;
    const scale = Math.min(most, (width - 2 * MARGIN) / box.width, (height - 2 * MARGIN) / box.height);
    view.scale = Math.min(MOST, Math.max(LEAST, scale));
    view.x = (width - box.width * view.scale) / 2 - box.x * view.scale;
    view.y = (height - box.height * view.scale) / 2 - box.y * view.scale;
    moved = false;
    apply();
    tellFar();
  }

  /** Move as little as needed to see a box. */
  function show(box) {
    const { width, height } = frame.getBoundingClientRect();
    const by = (at, size, room) => {
      const [least, most] = [MARGIN, room - MARGIN];
      if (at < least) return least - at;
      return at + size > most ? Math.max(most - at - size, least - at) : 0;
    };
    const x = by(box.x * view.scale + view.x, box.width * view.scale, width);
    const y = by(box.y * view.scale + view.y, box.height * view.scale, height);
    if (x || y) move(x, y);
  }

  function place(event) {
    const box = frame.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  frame.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const { x, y } = place(event);
      const lines = event.deltaMode === 1 ? 16 : 1;
      if (event.shiftKey) move(-(event.deltaX || event.deltaY) * lines, 0, applySoon);
      else zoomAt(x, y, Math.exp((-event.deltaY * lines) / (event.ctrlKey ? 120 : 480)));
    },
    { passive: false },
  );
  frame.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!fingers.size) dragged = false;
    fingers.set(event.pointerId, place(event));
  });
  frame.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (!dragged && !other && Math.hypot(now.x - before.x, now.y - before.y) < DRAG_FROM) return;
    if (!dragged) {
      dragged = true;
      frame.setPointerCapture(event.pointerId);
    }
    if (other) {
      const [last, next] = [before, now].map((one) => Math.hypot(one.x - other.x, one.y - other.y));
      if (last) zoomAt((now.x + other.x) / 2, (now.y + other.y) / 2, next / last);
    } else move(now.x - before.x, now.y - before.y, applySoon);
    fingers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    frame.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  frame.addEventListener("pointerleave", (event) => dragged || fingers.delete(event.pointerId));
  // Where a drag ends over a node, it was no click on the node.
  frame.addEventListener(
    "click",
    (event) => {
      if (dragged) event.stopPropagation();
      dragged = false;
    },
    true,
  );

  return {
    fit,
    show,
    move,
    zoom(factor) {
      const { width, height } = frame.getBoundingClientRect();
      zoomAt(width / 2, height / 2, factor, apply);
    },
    toFrame: (x, y) => ({ x: x * view.scale + view.x, y: y * view.scale + view.y }),
    isMoved: () => moved,
    scale: () => view.scale,
    onChange: (wanted) => (listener = wanted),
  };
}

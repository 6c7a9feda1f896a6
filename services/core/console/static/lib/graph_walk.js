/** Where the keys lead in a graph. */

/**
 * Tell to which node a key leads.
 *
 * @param {string} from - The id of the node it leads away from.
 * @param {string} key - An arrow, Home or End.
 * @param {{places: Map<string, {x: number, y: number, layer: number}>, layers: string[][]}} plan - As `layout` made it.
 * @param {{before: Map<string, string[]>, after: Map<string, string[]>}} neighbours - Of each node.
 * @param {boolean} down - Whether the graph goes from top to bottom.
 * @returns {string|undefined} Nothing where there is none.
 */
export function stepFrom(from, key, plan, neighbours, down) {
  const here = plan.places.get(from);
  const away = (id) => Math.hypot(plan.places.get(id).x - here.x, plan.places.get(id).y - here.y);
  const near = (ids = []) => ids.toSorted((one, other) => away(one) - away(other))[0];
  const layer = plan.layers[here.layer];
  const place = layer.indexOf(from);
  const arrows = down
    ? ["ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft"]
    : ["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"];
  const ways = [
    () => near(neighbours.after.get(from)),
    () => near(neighbours.before.get(from)),
    () => layer[place + 1],
    () => layer[place - 1],
  ];
  if (key === "Home") return plan.layers[0][0];
  if (key === "End") return plan.layers.at(-1)[0];
  return ways[arrows.indexOf(key)]?.();
}

/** Layered layout of a directed graph, from left to right, or from top to bottom where there is little width. */

import { forward } from "./graph_fold.js";

/** Sizes in the units of the drawing, which are pixels at a scale of 1. */
export const STEP = { width: 222, height: 52 };
export const FOLD = { width: 222, height: 70 };
const BETWEEN_ROWS = 14;
const PASSING = { width: 0, height: 4 };
const SWEEPS = 6;
/** Layers of more nodes than `most` are drawn as a grid: a column of a thousand could not be looked at. */
const ACROSS = { between: 76, most: 36, columns: (nodes) => Math.ceil(Math.sqrt(nodes / 6)) };
const DOWN = { between: 48, most: 2, columns: (nodes) => Math.ceil(nodes / 2) };
/** Edges over many layers are led around the nodes between, as long as there are no more such places than these. */
const MOST_PASSING = 4000;

/**
 * Place nodes: each behind all that it follows from, near to those, with few crossings.
 * @param {{id: string, steps: object[]}[]} nodes
 * @param {{id: string, from: string, to: string}[]} edges
 * @param {{down?: boolean}} [options] - `down`: from top to bottom.
 * @returns {{places: Map<string, {x: number, y: number, width: number, height: number, layer: number}>,
 *   paths: Map<string, {line: string, joined: boolean}>, layers: string[][], width: number, height: number}} `paths` are
 *   those of SVG, by the id of the edge; one that has joined ends at another edge. `layers` are ids, from top to bottom,
 *   or from left to right.
 */
export function layout(nodes, edges, { down = false } = {}) {
  const way = down ? DOWN : ACROSS;
  const placed = items(nodes, edges, down);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) order(placed.layers, sweep % 2 ? "after" : "before");
  const rows = placed.layers.map((layer) => inRows(layer, way));
  const tops = rows.map((layer) => layer.rows.map(() => 0));
  for (const direction of ["before", "after", "before", "after", "before"]) align(rows, tops, direction);
  return drawn(placed, rows, way.between, down);
}

/** All is placed from left to right; what goes down is turned before and after. */
function items(nodes, edges, down) {
  const sorted = forward(
    nodes.map((node) => node.id),
    edges.map((edge) => ({ ...edge, before: edge.from, after: edge.to })),
  );
  const found = new Map(
    nodes.map((node) => [node.id, item(node.id, turned(node.steps.length > 1 ? FOLD : STEP, down))]),
  );
  const before = new Map(sorted.order.map((id) => [id, []]));
  for (const edge of sorted.edges) before.get(edge.after).push(found.get(edge.before));
  const layers = [];
  for (const id of sorted.order) {
    const layer = before.get(id).reduce((most, other) => Math.max(most, other.layer + 1), 0);
    found.get(id).layer = layer;
    (layers[layer] ??= []).push(found.get(id));
  }
  return { layers, routes: routed(sorted.edges, found, layers), found };
}

/**
 * Lead edges around the nodes between their ends.  Those to the same node share their way once they meet, so that the
 * members of a chord become one line, which is drawn once.
 */
function routed(edges, found, layers) {
  const shared = new Map();
  const routes = new Map();
  for (const edge of edges) {
    const [from, to] = [found.get(edge.before), found.get(edge.after)];
    const route = [from];
    let joined = false;
    for (let layer = from.layer + 1; layer < to.layer && !joined; layer += 1) {
      const name = `${layer} ${edge.after}`;
      joined = shared.has(name);
      if (!joined && shared.size >= MOST_PASSING) break;
      if (!joined) shared.set(name, passing(layer, layers));
      route.push(shared.get(name));
    }
    if (!joined) route.push(to);
    route.slice(1).forEach((place, index) => {
      place.before.push(route[index]);
      route[index].after.push(place);
    });
    routes.set(edge.id, { route, joined });
  }
  return routes;
}

function passing(layer, layers) {
  const place = { ...item(null, PASSING), layer };
  layers[layer].push(place);
  return place;
}

function item(id, size) {
  return { id, ...size, layer: 0, x: 0, y: 0, row: 0, before: [], after: [] };
}

/** Order each layer by where the neighbours on one side stand. */
function order(layers, side) {
  const turn = side === "before" ? layers : [...layers].reverse();
  for (const layer of turn) layer.forEach((place, index) => (place.row = (index + 0.5) / layer.length));
  for (const layer of turn) {
    for (const place of layer) {
      if (place[side].length) place.row = mean(place[side].map((other) => other.row));
    }
    layer.sort((one, other) => one.row - other.row);
    layer.forEach((place, index) => (place.row = (index + 0.5) / layer.length));
  }
}

function inRows(layer, { most, columns: columnsOf }) {
  const shown = layer.filter((place) => place.id !== null).length;
  const columns = shown > most ? columnsOf(shown) : 1;
  const rows = [];
  let open = null;
  for (const place of layer) {
    if (place.id === null) {
      rows.push([place]);
      continue;
    }
    if (open === null || open.length === columns) rows.push((open = []));
    open.push(place);
  }
  return { rows, columns, heights: rows.map((row) => Math.max(...row.map((place) => place.height))) };
}

/** Move the rows of each layer to where their neighbours on one side are, without changing their order. */
function align(layers, tops, side) {
  const turn = [...layers.keys()];
  if (side === "after") turn.reverse();
  for (const index of turn) {
    const { rows, heights } = layers[index];
    const wanted = rows.map((row, number) => {
      const middles = row.flatMap((place) => place[side].map((other) => other.y + other.height / 2));
      return middles.length ? mean(middles) : tops[index][number] + heights[number] / 2;
    });
    const distances = heights.map((height, number) => (number ? (heights[number - 1] + height) / 2 + BETWEEN_ROWS : 0));
    spread(wanted, distances).forEach((middle, number) => {
      tops[index][number] = middle - heights[number] / 2;
      for (const place of rows[number]) place.y = middle - place.height / 2;
    });
  }
}

/**
 * Return places in the same order, at least so far apart, that are as near as can be to those that are wanted.
 * @param {number[]} wanted
 * @param {number[]} distances of each to the one before it
 */
export function spread(wanted, distances) {
  const offsets = [];
  const blocks = [];
  wanted.forEach((want, index) => {
    offsets.push(index ? offsets[index - 1] + distances[index] : 0);
    let block = { sum: want - offsets[index], count: 1 };
    while (blocks.length && blocks.at(-1).sum / blocks.at(-1).count >= block.sum / block.count) {
      const last = blocks.pop();
      block = { sum: last.sum + block.sum, count: last.count + block.count };
    }
    blocks.push(block);
  });
  return blocks
    .flatMap((block) => Array(block.count).fill(block.sum / block.count))
    .map((place, index) => place + offsets[index]);
}

function drawn({ layers, routes, found }, rows, between, down) {
  let left = 0;
  const lowest = layers.flat().reduce((least, place) => Math.min(least, place.y), Infinity);
  layers.forEach((layer, index) => {
    const width = layer.reduce((most, place) => Math.max(most, place.width), 0) + BETWEEN_ROWS;
    const wide = rows[index].columns * width - BETWEEN_ROWS;
    for (const row of rows[index].rows) {
      row.forEach((place, column) => {
        place.x = left + (place.id === null ? 0 : column * width);
        place.y -= lowest;
        if (place.id === null) place.width = wide;
      });
    }
    left += wide + between;
  });
  const whole = {
    width: Math.max(left - between, 0),
    height: layers.flat().reduce((most, place) => Math.max(most, place.y + place.height), 0),
  };
  return {
    places: new Map([...found].map(([id, place]) => [id, { ...turned(place, down), layer: place.layer }])),
    paths: new Map([...routes].map(([id, { route, joined }]) => [id, { line: path(route, between, down), joined }])),
    layers: layers.map((layer) => layer.filter((place) => place.id !== null).map((place) => place.id)),
    ...turned(whole, down),
  };
}

function turned({ x, y, width, height }, down) {
  return down ? { x: y, y: x, width: height, height: width } : { x, y, width, height };
}

function path(route, between, down) {
  const parts = [];
  const point = (x, y) => (down ? `${round(y)} ${round(x)}` : `${round(x)} ${round(y)}`);
  route.forEach((place, index) => {
    const [right, middle] = [place.x + place.width, place.y + place.height / 2];
    if (!index) {
      parts.push(`M${point(right, middle)}`);
      return;
    }
    const last = route[index - 1];
    const [from, height] = [last.x + last.width, last.y + last.height / 2];
    const bend = Math.min((place.x - from) / 2, between);
    parts.push(`C${[point(from + bend, height), point(place.x - bend, middle), point(place.x, middle)].join(" ")}`);
    if (place.id === null) parts.push(`L${point(right, middle)}`);
  });
  return parts.join("");
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function round(value) {
  return Math.round(value * 10) / 10;
}

/** What is drawn of a workflow: steps, and steps that are alike as one node that can be unfolded. */

/** How many steps that are alike are drawn as one. */
export const FOLD_FROM = 12;

/**
 * Put steps behind all that they follow from.
 * What was told of tasks may be anybody's, so edges that close a circle are left out, as are those to nowhere.
 * @param {string[]} ids of the steps, in any order; it is kept where edges leave a choice
 * @param {{before: string, after: string}[]} edges
 * @returns {{order: string[], edges: object[]}}
 */
export function forward(ids, edges) {
  const after = new Map(ids.map((id) => [id, []]));
  const missing = new Map(ids.map((id) => [id, 0]));
  const inside = edges.filter((edge) => edge.before !== edge.after && after.has(edge.before) && after.has(edge.after));
  for (const edge of inside) {
    after.get(edge.before).push(edge.after);
    missing.set(edge.after, missing.get(edge.after) + 1);
  }
  const place = new Map();
  const order = ids.filter((id) => !missing.get(id));
  order.forEach((id, index) => place.set(id, index));
  let next = 0;
  for (let done = 0; done < ids.length; done += 1) {
    if (done === order.length) {
      while (place.has(ids[next])) next += 1;
      add(ids[next]);
    }
    for (const id of after.get(order[done])) {
      missing.set(id, missing.get(id) - 1);
      if (!missing.get(id) && !place.has(id)) add(id);
    }
  }
  return { order, edges: inside.filter((edge) => place.get(edge.before) < place.get(edge.after)) };

  function add(id) {
    place.set(id, order.length);
    order.push(id);
  }
}

/**
 * Fold steps that are alike: of one task, on one broker, in one group, and behind steps that are alike or the same;
 * and long rows of one task, each behind the last.
 * @param {object[]} steps as the API tells them
 * @param {object[]} edges as the API tells them
 * @param {Set<string>} unfolded ids of the steps that stand by themselves
 * @returns {{nodes: {id: string, steps: object[]}[], edges: {id: string, from: string, to: string, kind: string}[]}}
 *   a node of more than one step is a fold; its id is made from that of its first step, so that it lasts
 */
export function fold(steps, edges, unfolded) {
  const known = new Map(steps.map((step) => [step.id, step]));
  const waiting = new Set(edges.filter((edge) => edge.kind === "chord").map((edge) => edge.after));
  // The body of a chord follows from its members, whoever publishes it.
  const sorted = forward(
    [...known.keys()],
    edges.filter((edge) => edge.kind === "chord" || !waiting.has(edge.after)),
  );
  const before = grouped(sorted.edges, "after");
  const bodies = grouped(
    sorted.edges.filter((edge) => edge.kind === "chord"),
    "before",
  );
  const kinds = new Map();
  const numbers = new Map();
  for (const id of sorted.order) {
    const kind = unfolded.has(id) ? id : kindOf(known.get(id), before.get(id), bodies.get(id), kinds);
    if (!numbers.has(kind)) numbers.set(kind, numbers.size);
    kinds.set(id, numbers.get(kind));
  }
  const alike = together([...known.keys()], (id) => kinds.get(id));
  const alone = new Set(alike.filter((ids) => ids.length < FOLD_FROM).flat());
  const rows = inRows(sorted, (id) => alone.has(id) && !unfolded.has(id) && known.get(id));
  const folds = [...alike, ...together([...known.keys()], (id) => rows.get(id))];
  const nodeOf = new Map();
  for (const ids of folds) {
    if (ids.length >= FOLD_FROM) for (const id of ids) nodeOf.set(id, `fold ${ids[0]}`);
  }
  const nodes = together([...known.keys()], (id) => nodeOf.get(id) ?? id);
  return {
    nodes: nodes.map((ids) => ({ id: nodeOf.get(ids[0]) ?? ids[0], steps: ids.map((id) => known.get(id)) })),
    edges: between(sorted.edges, (id) => nodeOf.get(id) ?? id),
  };
}

function kindOf(step, before = [], bodies = [], kinds) {
  const behind = new Set(before.map((edge) => kinds.get(edge.before)));
  const chords = bodies.map((edge) => edge.after).sort();
  return JSON.stringify([step.name, step.broker, step.group_id, [...behind].sort(), chords]);
}

/** Tell for each step of a row of the same task, one behind the other and nothing else between, which one began it. */
function inRows({ order, edges }, stepOf) {
  const [before, after] = [grouped(edges, "after"), grouped(edges, "before")];
  const begins = new Map();
  for (const id of order) {
    const step = stepOf(id);
    if (!step) continue;
    const only = before.get(id)?.length === 1 ? before.get(id)[0].before : null;
    const last = only !== null && begins.has(only) && after.get(only).length === 1 ? stepOf(only) : null;
    const goesOn = last && last.name === step.name && last.broker === step.broker;
    begins.set(id, goesOn ? begins.get(only) : id);
  }
  return begins;
}

/** Group ids by what is told of them, in their order; those of which nothing is told are left out. */
function together(ids, tell) {
  const found = new Map();
  for (const id of ids) {
    const told = tell(id);
    if (told === undefined) continue;
    if (!found.has(told)) found.set(told, []);
    found.get(told).push(id);
  }
  return [...found.values()];
}

function between(edges, nodeOf) {
  const found = new Map();
  for (const edge of edges) {
    const [from, to] = [nodeOf(edge.before), nodeOf(edge.after)];
    const id = `${from} → ${to}`;
    if (from !== to && (!found.has(id) || edge.kind === "chord")) found.set(id, { id, from, to, kind: edge.kind });
  }
  return [...found.values()];
}

function grouped(edges, end) {
  const found = new Map();
  for (const edge of edges) {
    if (!found.has(edge[end])) found.set(edge[end], []);
    found.get(edge[end]).push(edge);
  }
  return found;
}

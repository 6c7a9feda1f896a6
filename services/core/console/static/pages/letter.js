/** A dead letter: why it died, what it says, where it came from; edited, replayed, dropped. */

import { get, send } from "../lib/api.js";
import { attempt } from "../lib/dialogs.js";
import { h, replace } from "../lib/dom.js";
import { facts, idLink, panel } from "../lib/facts.js";
import { badge, brokerMark, count, when } from "../lib/format.js";
import { argumentsEditor } from "../lib/json_editor.js";
import { dropLetters, replayLetters } from "../lib/letter_acts.js";

export const title = "Dead letter";

/** Headers that are told above; the others are listed as they are. */
const TOLD = new Set(["id", "task", "root_id", "parent_id", "group", "origin", "stamps", "stamped_headers", "replay"]);

/**
 * Show the page.
 *
 * @param {HTMLElement} main - Where it goes.
 * @param {object} context - As the app gives it to every page.
 */
export async function show(main, { params, signal, me, navigate, heading }) {
  const path = `/dead/${encodeURIComponent(params.id)}`;
  heading(`Dead letter ${params.id}`, { href: "#/dead", text: "Dead letters" });
  await refresh();

  async function refresh() {
    const letter = await get(path, { signal });
    const kin =
      letter.task_id === null ? [] : (await get("/dead", { query: { task_id: letter.task_id }, signal })).entries;
    draw(letter, kin);
  }

  function draw(letter, kin) {
    replace(
      main,
      top(letter),
      note(letter),
      h(
        "div",
        { class: "grid" },
        panel("What is known", h("dl", { class: "facts" }, factsOf(letter))),
        panel("Lineage", lineage(letter, kin)),
      ),
      panel("What was wrong", [
        h("pre", { class: "code" }, letter.detail ?? ""),
        letter.traceback
          ? h("details", { open: true }, h("summary", null, "Traceback"), h("pre", { class: "code" }, letter.traceback))
          : null,
      ]),
      panel("Arguments", argumentsOf(letter)),
      panel("Message", messageOf(letter)),
    );
  }

  function top(letter) {
    const act = (text, kind, work) => h("button", { type: "button", class: kind, on: { click: work } }, text);
    const open = letter.replayed_at === null;
    return h(
      "div",
      { class: "toolbar" },
      badge(letter.reason, "bad"),
      letter.edited ? badge("edited", "busy") : null,
      letter.replayed_at ? badge("replayed", "good") : null,
      h("strong", null, letter.task ?? "(task not known)"),
      h("span", { class: "space" }),
      open && !letter.not_replayable && me.acts.includes("replay dead letters")
        ? act("Replay…", "primary", async () => (await replayLetters([letter.number], signal)) && refresh())
        : null,
      me.acts.includes("drop dead letters")
        ? act("Drop…", "danger", async () => (await dropLetters([letter.number])) && navigate("#/dead"))
        : null,
    );
  }

  function argumentsOf(letter) {
    if (!letter.to_replay) {
      return [
        h("p", { class: "muted" }, "They can't be read. This is the body, in Base64:"),
        h("pre", { class: "code" }, letter.body),
      ];
    }
    if (letter.replayed_at !== null || !me.acts.includes("edit dead letter")) {
      return h(
        "div",
        { class: "editor" },
        ["args", "kwargs"].map((name) => h("pre", { class: "code" }, letter.to_replay[name])),
      );
    }
    return argumentsEditor({
      given: letter.to_replay,
      had: letter.edited ? { args: letter.args, kwargs: letter.kwargs } : null,
      save: (body) => change(letter, { body }),
      saveAndReplay: letter.not_replayable
        ? null
        : async (body) =>
            (await change(letter, { body })) && (await replayLetters([letter.number], signal)) && refresh(),
      undo: () => change(letter, { body: { undo: true } }),
    });
  }

  async function change(letter, { body }) {
    const done = await attempt(
      () => send("POST", `${path}/edit`, { body, type: "application/json" }),
      () => (body.undo ? "It has the arguments again that it died with." : "It will be replayed with these arguments."),
    );
    if (done) await refresh();
    return done;
  }
}

function note(letter) {
  if (letter.replayed_at) {
    return h(
      "p",
      { class: "muted" },
      "It was replayed ",
      when(letter.replayed_at),
      "; if its task fails again, that is another dead letter.",
    );
  }
  return letter.not_replayable ? h("p", { class: "problem" }, `It can't be replayed: ${letter.not_replayable}.`) : null;
}

function factsOf(letter) {
  const stamps = stampsOf(letter.headers);
  return facts([
    ["Died", when(letter.died_at)],
    ["Queue", h("a", { href: `#/queues/${encodeURIComponent(letter.queue)}` }, letter.queue)],
    ["Broker", brokerMark(letter.broker)],
    ["Task id", idLink(letter.task_id, "tasks")],
    ["Workflow", idLink(letter.root_id, "workflows")],
    ["Group", idLink(letter.group_id, "workflows")],
    ["Published by", idLink(letter.headers?.parent_id, "tasks")],
    ["Sent from", letter.headers?.origin],
    [
      "Stamps",
      stamps.length
        ? h(
            "span",
            { class: "chips" },
            stamps.map(([name, value]) => h("span", { class: "chip" }, `${name}: ${value}`)),
          )
        : null,
    ],
  ]);
}

function stampsOf(headers) {
  const stamps = headers?.stamps;
  if (!stamps || typeof stamps !== "object") return [];
  return Object.entries(stamps).map(([name, value]) => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
}

function lineage(letter, kin) {
  const entry = (each) => {
    const here = each.number === letter.number;
    const text = `Dead letter ${each.number}`;
    return h(
      "li",
      null,
      here ? h("strong", null, `${text} (this one)`) : h("a", { href: `#/dead/${each.number}` }, text),
      `: ${each.reason}, died `,
      when(each.died_at),
      each.replay_of ? `, a replay of ${each.replay_of}` : "",
      each.replayed_at ? [", replayed ", when(each.replayed_at)] : "",
    );
  };
  const told = letter.replays
    ? `Its message was replayed ${count(letter.replays)} ${letter.replays === 1 ? "time" : "times"} before.`
    : "Its message was not replayed before.";
  return [h("p", null, told), h("ul", { class: "kin" }, (kin.length ? kin : [letter]).map(entry)), follows(letter)];
}

function follows({ embedded }) {
  const names = (list) => (Array.isArray(list) ? list : [list]).map((each) => each?.task ?? "?").join(" → ");
  const parts = facts([
    ["Then in its chain", embedded?.chain?.length && names([...embedded.chain].reverse())],
    ["Callbacks", embedded?.callbacks?.length && names(embedded.callbacks)],
    ["When it fails", embedded?.errbacks?.length && names(embedded.errbacks)],
    ["Body of its chord", embedded?.chord && names(embedded.chord)],
  ]);
  return parts.length ? h("dl", { class: "facts" }, parts) : null;
}

function messageOf({ headers, embedded }) {
  const others = Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => !TOLD.has(name)));
  const code = (value) => h("pre", { class: "code" }, JSON.stringify(value, null, 2));
  return [
    h("details", null, h("summary", null, `Headers (${Object.keys(others).length} more)`), code(others)),
    embedded ? h("details", null, h("summary", null, "What follows it, whole"), code(embedded)) : null,
  ];
}

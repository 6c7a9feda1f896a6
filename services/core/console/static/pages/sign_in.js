/** Asks for a key. */

import { signIn } from "../lib/api.js";
import { h, replace, svg } from "../lib/dom.js";

/**
 * Ask for a key until there is one that opens.
 *
 * @param {HTMLElement} main
 * @param {{enter: () => Promise<void>}} context - `enter` goes on to where the person wanted to go.
 */
export async function show(main, { enter }) {
  const field = h("input", {
    id: "key",
    name: "key",
    type: "password",
    autocomplete: "current-password",
    required: true,
    maxlength: 200,
    placeholder: "yard_…",
    spellcheck: "false",
    "aria-describedby": "key-help",
  });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const go = h("button", { type: "submit", class: "primary" }, "Sign in");

  async function submit(event) {
    event.preventDefault();
    go.disabled = true;
    problem.hidden = true;
    try {
      await signIn(field.value.trim());
    } catch (error) {
      problem.hidden = false;
      replace(problem, error.detail ?? error.message);
      field.select();
      return;
    } finally {
      go.disabled = false;
    }
    await enter();
  }

  const tracks = svg("path", { d: "M3 8h18M3 18h5c6 0 4-10 10-10M13 18h8" });
  replace(
    main,
    h(
      "form",
      { class: "sign-in", on: { submit } },
      svg("svg", { viewBox: "0 0 24 26", "aria-hidden": "true" }, tracks),
      h("h1", null, "Switchyard"),
      h("label", { class: "field", for: "key" }, h("span", null, "API key"), field),
      problem,
      go,
      h(
        "p",
        { class: "help", id: "key-help" },
        "A key is made on the machine: ",
        h("code", null, 'yard key create "on call" --role operator'),
        ".",
      ),
    ),
  );
  field.focus();
}

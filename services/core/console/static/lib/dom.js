/** Makes nodes. Text is always text: nothing here reads markup, so no data can become any. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an HTML element.
 *
 * @param {string} tag - Its name.
 * @param {object|null} props - Attributes; `true` sets an empty one, `false` and `null` none. Besides: `class`,
 *   `on: {click: fn}`, `dataset: {…}`, `style: {"--share": "40%"}`, `value` and `checked` as properties.
 * @param {...(Node|string|number|Array|null|undefined|false)} children - What is in it; arrays are spread, and what is
 *   null or false is skipped.
 * @returns {HTMLElement}
 */
export function h(tag, props, ...children) {
  return filled(document.createElement(tag), props, children);
}

/**
 * Make an SVG element; see `h`.
 *
 * @param {string} tag
 * @param {object|null} props
 * @param {...(Node|string|number|Array|null|undefined|false)} children
 * @returns {SVGElement}
 */
export function svg(tag, props, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

/**
 * Put children in place of those that an element has.
 *
 * @param {Element} parent
 * @param {...(Node|string|number|Array|null|undefined|false)} children - As for `h`.
 * @returns {Element} The parent.
 */
export function replace(parent, ...children) {
  parent.replaceChildren(...nodes(children));
  return parent;
}

/**
 * Set the text of an element, if it is another one.
 *
 * @param {Element} element
 * @param {string|number} text
 */
export function write(element, text) {
  if (element.textContent !== String(text)) element.textContent = String(text);
}

function filled(element, props, children) {
  element.append(...nodes(children));
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value !== null && value !== undefined && value !== false) set(element, name, value);
  }
  return element;
}

function set(element, name, value) {
  if (name === "on") {
    for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
  } else if (name === "dataset") {
    Object.assign(element.dataset, value);
  } else if (name === "style") {
    for (const [property, told] of Object.entries(value)) element.style.setProperty(property, told);
  } else if (name === "value" || name === "checked") {
    element[name] = value;
  } else if (name.startsWith("on")) {
    throw new TypeError(`${name} is no attribute here: use on: {${name.slice(2)}: fn}`);
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

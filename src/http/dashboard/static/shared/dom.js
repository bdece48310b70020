// Builds elements. Text is always set as text, never as markup: names and comments come from people.

/**
 * An element with attributes and children.
 *
 * `class`, `data-…`, `aria-…` and whatever else HTML knows are set as attributes; `on…` are listeners; a value of
 * `null`, `undefined` or `false` leaves the attribute out, and `true` sets it without a value.
 *
 * @param {string} name such as "button", or "svg:path" for what is drawn
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | number | null | undefined | false)} children
 */
export function el(name, attributes = {}, ...children) {
  const element = name.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child || child === 0).map(asNode));
  return element;
}

const asNode = (child) => (child instanceof Node ? child : String(child));

/** Sets an element's text, and touches the page only where it is different. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The element with this id, which the page's own HTML has. */
export const byId = (id) => document.getElementById(id);

/** Calls at most once in a stretch of time, and once more at its end if it was called meanwhile. */
export function calmly(milliseconds, call) {
  let resting = false;
  let again = false;
  return function ask() {
    if (resting) {
      again = true;
      return;
    }
    resting = true;
    setTimeout(() => {
      resting = false;
      if (again) {
        again = false;
        ask();
      }
    }, milliseconds);
    call();
  };
}

// Builds elements. What is text stays text: ids, keys and what models say come from anywhere.

const SVG = 'http://www.w3.org/2000/svg';

/** Builds an element; `onclick` and the like are listeners, `null` and `false` leave an attribute out. */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Builds an element of a drawing. */
export function drawn(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(it, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') it.addEventListener(name.slice(2), value);
    else if (value === true) it.setAttribute(name, '');
    else if (value !== null && value !== undefined && value !== false) it.setAttribute(name, value);
  }
  it.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return it;
}

/** The element of that id, which the page has. */
export function byId(id) {
  return document.getElementById(id);
}

/** Sets a text only where it is another, so that what is read aloud or selected stays as it is. */
export function setText(it, text) {
  if (it.textContent !== text) it.textContent = text;
}

/** Says something to whoever does not see the page. */
export function announce(text) {
  setText(byId('announcer'), text);
}

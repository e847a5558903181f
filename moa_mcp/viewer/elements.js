// Makes elements. Every text enters the page through `clean`, and only as a text node or an attribute.
const REMOVED = /\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u061c\u2060\ufeff]/g;
const HIDDEN = /[\u202a-\u202e\u2066-\u2069\u115f\u1160\u3164\uffa0]|[\u{e0000}-\u{e0fff}]+/gu;
const mark = found => `⟨U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
export const clean = text => String(text ?? "").replace(/\r\n?/g, "\n").replace(REMOVED, "").replace(HIDDEN, mark);

export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value == null || value === false) continue;
    if (name === "place") for (const [side, size] of Object.entries(value)) element.style.setProperty(side, size);
    else if (name.startsWith("on")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : clean(value));
  }
  const shown = children.flat(Infinity).filter(child => child != null && child !== false && child !== "");
  element.append(...shown.map(child => typeof child === "object" ? child : clean(child)));
  return element;
}

const TAGS = new Set("p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong s hr br table thead tbody tr th td".split(" "));
const HEADINGS = {h1: "h3", h2: "h4", h3: "h5", h4: "h6"};
export function markdown(nodes, write = text => text) {
  return nodes.map(node => {
    if (typeof node === "string") return write(node);
    const [tag, ...children] = node;
    if (tag === "a") return link(children[0], markdown(children.slice(1), write));
    if (tag === "pre") return el("pre", {tabindex: 0}, children);
    return TAGS.has(tag) ? el(HEADINGS[tag] ?? tag, {}, markdown(children, write)) : markdown(children, write);
  });
}

function link(address, children) {
  if (!/^https?:\/\//i.test(address)) return [children, address ? ` (${address})` : ""];
  return el("a", {href: address, title: address, target: "_blank", rel: "noopener noreferrer nofollow"}, children);
}

const drawn = new Map();  // how many items of each list the reader has asked for
export function more(name, items, size, draw) {  // draws `size` items, and the next ones when asked
  const end = drawn.get(name) ?? size, parts = items.slice(0, end).map(draw);
  if (items.length <= end) return parts;
  const button = el("button", {type: "button", class: "more", onclick: event => {
    drawn.set(name, end + size);
    const next = more(name, items, size, draw).slice(end);
    event.currentTarget.replaceWith(...next);
    next[0].focus?.({preventScroll: true});
  }}, `Show ${Math.min(size, items.length - end)} more of ${items.length - end}`);
  return [...parts, button];
}

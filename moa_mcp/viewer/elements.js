// Makes elements. Every text enters the page through `clean`, and only as a text node or an attribute.
const ESCAPES = /\x1b\[[0-9;?]*[ -\/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g;
const ENDS = /\r\n?|[\x0b\x0c\x85\u2028\u2029]/g;
const REMOVED = /[\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u061c\u17b4\u17b5\u180e\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\ufeff\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}]/gu;
const LOOSE = /(?<![\u0590-\u109f\u1780-\u1cff\ua800-\uabff\ufb1d-\ufdff\ufe70-\ufefc\ufe0f\p{So}\p{Emoji_Modifier}\u{10a00}-\u{11fff}\u{1e800}-\u{1e9ff}])[\u034f\u200c\u200d\u180b-\u180d\u180f]+/gu;
const HIDDEN = /(?:[\u202a-\u202e\u2066-\u2069\u115f\u1160\u3164\uffa0\ufff0-\ufffb]|\p{Co}|\p{Noncharacter_Code_Point}|(?!\p{Variation_Selector})[\u{e0000}-\u{e0fff}])+/gu;
const FLAG = /(\u{1f3f4}[\u{e0061}-\u{e007a}]{5}\u{e007f})/u;
const warned = text => text.replace(HIDDEN, found => `⟨U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
export function clean(text) {  // as moa_mcp/text/visible.py: removes what commands or misleads, marks what reorders or hides
  const plain = String(text ?? "").replace(ESCAPES, "").replace(ENDS, "\n").replace(REMOVED, "").replace(/\p{Cs}/gu, "\ufffd").replace(LOOSE, "");
  return plain.split(FLAG).map((part, at) => at % 2 ? part : warned(part)).join("");
}

const hasProps = ([first]) => first != null && Object.getPrototypeOf(first) === Object.prototype;
export function el(name, ...children) {  // el("p.quiet", {title: …}, child, …): the properties may be left out
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  if (tag === "button") element.type = tag;
  for (const [name, value] of Object.entries(hasProps(children) ? children.shift() : {})) {
    if (value == null || value === false) continue;
    if (name === "place") for (const [side, size] of Object.entries(value)) element.style.setProperty(side, size);
    else if (name.startsWith("on")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : clean(value));
  }
  const shown = children.flat(Infinity).filter(child => child != null && child !== false && child !== "");
  element.append(...shown.map(child => typeof child === "object" ? child : clean(child)));
  return element;
}

export const quiet = (...children) => el("span.quiet", ...children);
export const region = label => ({tabindex: 0, role: "region", "aria-label": label});  // of what may scroll
export const section = (id, title, ...children) => el("section", {"aria-labelledby": id}, el("h2", {id}, title), ...children);

const TAGS = new Set("p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong s hr br table thead tbody tr th td".split(" "));
const HEADINGS = {h1: "h3", h2: "h4", h3: "h5", h4: "h6"};
export function markdown(nodes, write = text => text) {
  return nodes.map(node => {
    if (typeof node === "string") return write(node);
    const [tag, ...children] = node;
    if (tag === "a") return link(children[0], markdown(children.slice(1), write));
    if (tag === "pre") return el("pre", {tabindex: 0}, children);
    return TAGS.has(tag) ? el(HEADINGS[tag] ?? tag, {tabindex: tag === "table" ? 0 : null}, markdown(children, write)) : markdown(children, write);
  });
}

function link(address, children) {  // with the server's name as it is, since a text may show another one
  let host = "";
  try { host = /^https?:\/\//i.test(address) && new URL(address).host; } catch { /* not an address */ }
  if (!host) return [children, address ? ` (${address})` : ""];
  const shown = children.length === 1 && children[0] === address;
  return [el("a", {href: address, title: address, target: "_blank", rel: "noopener noreferrer nofollow"}, children), shown ? null : el("span.host", ` (${host})`)];
}

const grown = new Map();
export function more(name, items, size, draw, needed = -1) {  // draws `size` items, and the next ones when asked; `needed` is among them
  const drawn = Math.max(size, grown.get(name) ?? 0, needed < 0 ? 0 : size * Math.ceil((needed + 1) / size));
  const parts = items.slice(0, drawn).map(draw);
  if (items.length <= drawn) return parts;
  grown.set(name, drawn);
  const next = items.slice(drawn, drawn + size), rest = items.length - drawn;
  const button = el("button.more", {onclick: event => {
    grown.set(name, drawn + size);
    const all = more(name, items, size, draw).slice(drawn);
    event.currentTarget.replaceWith(...all);
    (all[0].matches("button") ? all[0] : all[0].querySelector("button"))?.focus({preventScroll: true});
  }}, `Show ${next.length} more of ${rest}`);
  return [...parts, button];
}

export function folded(title, content, open = false) {
  return el("details", {open}, el("summary", title), content);
}

const LONGEST_JSON = 200000;
const DEEPEST = 12;
export function indented(text) {  // a JSON object or list with one value a line, and every number as it is written; else null
  if (text.length > LONGEST_JSON || !/^\s*[[{]/.test(text)) return null;
  try { JSON.parse(text); } catch { return null; }
  let depth = 0, deep = false;
  const line = by => { depth += by; deep ||= depth > DEEPEST; return `\n${"  ".repeat(Math.min(depth, DEEPEST))}`; };
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[[{]\s*[\]}]|[[\]{},:]|[^\s[\]{},:"]+/g);
  const parts = tokens.map(token => token.length > 1 && /^[[{]/.test(token) ? token.replace(/\s+/, "")
    : "[{".includes(token) ? token + line(1) : "]}".includes(token) ? line(-1) + token : token === "," ? token + line(0) : token === ":" ? ": " : token);
  return deep ? null : parts.join("");
}

export function written(text, trees, label, kind = "text", write = part => part) {  // a text of a model: JSON, Markdown or plain
  const json = indented(text), tree = json ? null : trees.get(text);
  return el("div", {...region(label), class: `${kind} ${json ? "raw json" : tree ? "prose" : "raw"}`}, json ?? (tree ? markdown(tree, write) : write(text)));
}

for (const [event, open] of [["beforeprint", true], ["afterprint", false]]) {  // on paper nothing can be unfolded
  addEventListener(event, () => document.querySelectorAll(open ? "details:not([open])" : "details.printed").forEach(each => { each.open = open; each.classList.toggle("printed", open); }));
}

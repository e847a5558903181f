// Changes what is shown into what was drawn anew, and leaves alone what is the same: focus, selection, scrolling and unfolded parts stay.
const HANDLERS = ["onclick", "onkeydown", "oninput", "onchange"];
const KEPT = new Set(["open", "value", "style"]);  // those that the reader changes, and one that the policy forbids to set as text
const keyIn = node => node.nodeType !== Node.ELEMENT_NODE ? "" : node.id || node.dataset.call || node.dataset.card || node.dataset.key || "";
const alike = (a, b) => a.nodeName === b.nodeName && keyIn(a) === keyIn(b);

export function update(parent, fresh) {
  let next = parent.firstChild;
  for (const child of fresh) {
    let match = next;
    while (match && !alike(match, child)) match = match.nextSibling;
    if (!match) { parent.insertBefore(child, next); continue; }
    while (next !== match) { const gone = next; next = next.nextSibling; gone.remove(); }
    next = match.nextSibling;
    become(match, child);
  }
  while (next) { const gone = next; next = next.nextSibling; gone.remove(); }
}

export function focusOn({picked}, call, otherwise) {  // what a reader has chosen: a call, or what the other selector finds
  document.querySelector(call ? `[data-call="${picked}"]` : otherwise)?.focus({preventScroll: true});
  if (call) document.querySelector(`[data-card="${picked}"]`)?.scrollIntoView({block: "nearest"});
}

function become(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) { if (old.data !== fresh.data) old.data = fresh.data; return; }
  for (const {name} of [...old.attributes]) if (!KEPT.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const {name, value} of fresh.attributes) if (!KEPT.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.style.cssText !== fresh.style.cssText) old.style.cssText = fresh.style.cssText;
  for (const name of HANDLERS) old[name] = fresh[name];
  update(old, [...fresh.childNodes]);
}

// The images of a question on the page of `moa-mcp view`, which has them from its own server. Other pages describe them.
import {el, quiet} from "./elements.js";
const fetched = new Map();  // by number: the address of a loaded image; null while it loads or if it can't be

async function fetchPicture(number, path, key, redraw) {
  fetched.set(number, null);
  try {
    const reply = await fetch(`${path}/images/${number}`, {headers: {"X-Moa-Key": key}, cache: "no-store"});
    if (!reply.ok) return;
    fetched.set(number, URL.createObjectURL(await reply.blob()));
    redraw();
  } catch { /* the description remains */ }
}

export function pictures(run, path, key, redraw) {
  const images = run.question.images ?? [];
  if (!images.length) return null;
  return el("section.pictures", {"aria-label": "images of the question", "data-key": "pictures"}, images.map(({url, type, width, height}, at) => {
    const number = at + 1, said = url ?? `${type}, ${width} x ${height}`;
    if (!url && !fetched.has(number)) fetchPicture(number, path, key, redraw);
    return el("figure", fetched.get(number) && el("img", {src: fetched.get(number), alt: `image ${number} of the question`}), el("figcaption", quiet(`${number}. ${said}`)));
  }));
}

// What answers have in common, by the words of their sentences. It compares words, not meaning.
export const LONGEST_COMPARED = 40000;
const NEAR = 0.6;
const LEAST = 3;
const MOST_SENTENCES = 3000;  // of all answers together, since each is compared with each
export const sentences = text => text.match(/[^.!?\n]+(?:[.!?]+(?=\s|$)|[.!?]+|\n+|$)\s*|[.!?\s]+/g) ?? [];
export const words = text => new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
function near(a, b) {
  const small = Math.min(a.size, b.size), large = Math.max(a.size, b.size);
  if (small < NEAR * large) return false;
  let shared = 0, left = a.size;
  for (const word of a) {
    if (b.has(word)) shared++;
    if (shared + --left < NEAR * large) return false;
  }
  return true;
}

export function comparison(texts) {  // {compared, sentences(at), of(at, part): how many others say nearly the sentence of this part; null if unclear}
  const usable = texts.map(text => text != null && text.length <= LONGEST_COMPARED ? text : "");
  const most = Math.floor(MOST_SENTENCES / Math.max(1, usable.length));
  const said = usable.map(text => sentences(text).slice(0, most).map(words).filter(set => set.size >= LEAST));
  const known = new Map(), parts = new Map();
  const sharing = (at, set) => {
    if (!known.has(set)) known.set(set, said.filter((other, where) => where !== at && other.some(each => near(set, each))).length);
    return known.get(set);
  };
  const of = (at, part) => {  // Markdown may cut a sentence into parts
    const key = `${at} ${part}`, set = words(part);
    if (!parts.has(key)) {
      const counts = new Set(set.size ? said[at].filter(each => set.size <= each.size && [...set].every(word => each.has(word))).map(each => sharing(at, each)) : []);
      parts.set(key, counts.size === 1 ? [...counts][0] : null);
    }
    return parts.get(key);
  };
  return {compared: said.filter(sets => sets.length).length, of, sentences: at => sentences(usable[at]).slice(0, most)};
}

// What answers have in common, by the words of their sentences. It compares words, not meaning.
export const LONGEST_COMPARED = 40000;
const NEAR = 0.6;
const LEAST = 3;
const MOST_SENTENCES = 3000;  // of all answers together, since each is compared with each
export const sentences = text => text.match(/[^.!?\n]+(?:[.!?]+(?=\s|$)|[.!?]+|\n+|$)\s*|[.!?\s]+/g) ?? [];
export const words = text => new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
export function near(a, b) {
  const small = Math.min(a.size, b.size), large = Math.max(a.size, b.size);
  if (small < NEAR * large) return false;
  let shared = 0, left = a.size;
  for (const word of a) {
    if (b.has(word)) shared++;
    if (shared + --left < NEAR * large) return false;
  }
  return true;
}

export function comparison(texts) {  // {compared, of(text) → sentence → how many of the others say nearly this; null for a short sentence}
  const usable = texts.map(text => text != null && text.length <= LONGEST_COMPARED ? text : "");
  const most = Math.floor(MOST_SENTENCES / Math.max(1, usable.length));
  const said = usable.map(text => sentences(text).slice(0, most).map(words).filter(set => set.size >= LEAST));
  const known = new Map();
  const count = (at, sentence) => {
    const key = `${at} ${sentence}`, set = words(sentence);
    if (!known.has(key)) known.set(key, set.size < LEAST ? null : said.filter((other, where) => where !== at && other.some(each => near(set, each))).length);
    return known.get(key);
  };
  return {compared: said.filter(sets => sets.length).length, of: (at, sentence) => said[at]?.length ? count(at, sentence) : null,
    sentences: at => sentences(usable[at]).slice(0, most)};
}

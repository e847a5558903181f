// What answers have in common, by the words of their sentences. It compares words, not meaning.
export const LONGEST_COMPARED = 40000;
const NEAR = 0.6;
const LEAST = 3;
export const sentences = text => text.match(/[^.!?\n]+(?:[.!?]+(?=\s|$)|[.!?]+|\n+|$)\s*|[.!?\s]+/g) ?? [];
const words = text => new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
export const said = text => text && text.length < LONGEST_COMPARED ? sentences(text).map(words).filter(set => set.size >= LEAST) : [];
function near(a, b) {
  const small = Math.min(a.size, b.size), large = Math.max(a.size, b.size);
  if (small < NEAR * large) return false;
  let shared = 0;
  for (const word of a) if (b.has(word)) shared++;
  return shared >= NEAR * large;
}
export function sharing(sentence, others) {  // how many other answers say nearly this; null for a short sentence
  const set = words(sentence);
  return set.size < LEAST ? null : others.filter(other => other.some(each => near(set, each))).length;
}

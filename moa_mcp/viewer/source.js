// The data of a page as it arrives: texts stand once, and references in their places.
export function resolved(value, texts) {  // puts texts in place of the references to them
  if (Array.isArray(value)) return value.map(each => resolved(each, texts));
  if (value === null || typeof value !== "object") return value;
  const names = Object.keys(value);
  if (names.length === 1 && names[0] === "$text") return texts[value.$text] ?? "";
  return Object.fromEntries(names.map(name => [name, resolved(value[name], texts)]));
}

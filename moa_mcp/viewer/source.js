// Where the page's data is from. Each source calls `show` with the data of a run, once or with each change.
export function embedded(text) {
  return {start: show => show(JSON.parse(text))};
}

export function restored({markdown, texts, ...rest}) {
  return {...resolved(rest, texts), trees: new Map(resolved(markdown, texts))};
}

export function resolved(value, texts) {  // puts texts in place of the references to them
  if (Array.isArray(value)) return value.map(each => resolved(each, texts));
  if (value === null || typeof value !== "object") return value;
  const names = Object.keys(value);
  if (names.length === 1 && names[0] === "$text") return texts[value.$text] ?? "";
  return Object.fromEntries(names.map(name => [name, resolved(value[name], texts)]));
}

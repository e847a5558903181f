// Where the page's data is from. Each source calls `show` with the data of a run, once or with each change.
export function embedded(text) {
  return {start: show => show(JSON.parse(text))};
}

export function restored({run, markdown, texts}) {  // resolves the references to texts that occur several times
  const whole = value => {
    if (Array.isArray(value)) return value.map(whole);
    if (value === null || typeof value !== "object") return value;
    const names = Object.keys(value);
    if (names.length === 1 && names[0] === "$text") return texts[value.$text] ?? "";
    return Object.fromEntries(names.map(name => [name, whole(value[name])]));
  };
  return {run: whole(run), trees: new Map(whole(markdown))};
}

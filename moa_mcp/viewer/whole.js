// The data of a page that has all of a run.
import {resolved} from "./source.js";

export function restored({markdown, texts, ...rest}) {
  return {...resolved(rest, texts), trees: new Map(resolved(markdown, texts))};
}

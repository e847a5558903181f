// A run as it happens: merges what is new into the data of the page. Each longer text is sent once, and kept by its number.
import {resolved} from "./source.js";

export function merged(data, news) {  // null at first; returns the same data if the news do not follow it
  if (news.from !== (data?.mark ?? 0) && news.from !== 0) return data;
  const {texts, trees, run} = news.from === 0 ? {texts: [], trees: new Map(), run: {steps: []}} : data;
  for (const text of news.texts) texts.push(text);
  for (const [text, tree] of resolved(news.markdown, texts)) trees.set(text, tree);
  const facts = news.run && resolved(news.run, texts);
  for (const step of news.steps) mergeStep(run.steps, resolved(step, texts));
  return {run: {...run, ...facts, steps: run.steps}, trees, texts, mark: news.mark, done: news.done};
}

function mergeStep(steps, step) {
  const calls = steps[step.step - 1]?.calls ?? [];
  for (const call of step.calls) {
    const at = call.place.number - 1;
    calls[at] = {...call, messages: call.messages ?? calls[at]?.messages ?? []};
  }
  steps[step.step - 1] = {...step, calls};
}

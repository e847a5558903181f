// What members found about their answers: where these differ, and how members ranked them. Not in a chat, which has the notes alone.
import {el, quiet, section} from "./elements.js";
import {counted} from "./figures.js";
import {drawings} from "./run.js";
const MOST_POINTS = 20;

drawings.findings = run => {
  const parts = run.steps.flatMap(step => [analysis(step), review(step)]).filter(Boolean);
  return parts.length ? section("findings", "Where the answers differ", el("div.choices", parts)) : null;
};

function analysis(step) {
  const found = step.analysis;
  if (!found) return null;
  const by = numbers => numbers.length ? quiet(" ", numbers.map(number => `${number} ${step.answers[number - 1]?.agent ?? ""}`).join(", ")) : null;
  const said = ({point, position, answers}) => [point ?? position, by(answers)];
  return el("article.choice", el("h3", `${step.step} ${step.kind}`, quiet(`of ${counted(step.answers.length, "answer")}`)),
    part("Agreement", found.consensus, said),
    part("Contradictions", found.contradictions, ({topic, positions}) => [topic && el("b", topic), positions.length ? el("ul.said", positions.map(each => el("li", said(each)))) : null]),
    part("Treated by some only", found.partial_coverage, said), part("Found by one only", found.unique_insights, said),
    part("Missing in all", found.blind_spots, text => text));
}

function part(title, items, draw) {
  return [el("h4", title), items.length ? el("ul.said", items.slice(0, MOST_POINTS).map(each => el("li", draw(each))), items.length > MOST_POINTS && el("li.quiet", `and ${items.length - MOST_POINTS} more`)) : el("p.quiet", "none")];
}

function review(step) {
  const found = step.review;
  if (!found) return null;
  const row = ({answer, member, points, ballots, firsts}, at) => el("tr", el("th", {scope: "row"}, `${at + 1}. answer ${answer}, ${member}`),
    el("td", el("span.track", {"aria-hidden": "true"}, el("span.bar", {place: {width: `${100 * points}%`}})), el("span.number", points.toFixed(2))), el("td.number", ballots), el("td.number", firsts));
  return el("article.choice", el("h3", `${step.step} ${step.kind}`, quiet(counted(found.reviews, "review"))),
    el("table.votes", el("thead", el("tr", ["answer", "points", "reviews", "first places"].map(name => el("th", {scope: "col"}, name)))), el("tbody", found.answers.map(row))));
}

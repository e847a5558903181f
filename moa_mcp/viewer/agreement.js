// How far the answers agree, what the minority says, and why the run ended early. Pages in a chat and of two runs lack it.
import {el, quiet, section} from "./elements.js";
import {counted} from "./figures.js";
import {drawings} from "./run.js";
const SHOWN = 12;

drawings.agreement = run => {
  const {agreement, dissent} = run, last = run.steps.at(-1);
  if (!agreement && !run.not_needed.length) return null;
  return section("agreement", "Agreement", agreement && el("p", said(agreement), quiet(` step ${agreement.step}, from ${agreement.of === "judge" ? "the verdict of a judge" : "the values of the answers"}`)),
    dissent.length ? el("ul.dissent", {"aria-label": "dissent"}, dissent.slice(0, SHOWN).map(side), dissent.length > SHOWN && el("li.quiet", `and ${counted(dissent.length - SHOWN, "other value")}`)) : null,
    run.not_needed.length ? el("p", `Step ${last.step} ended the run: ${run.not_needed.join(", ")} not needed, ${counted(run.saved_calls, "call")} saved`) : null);
};

function said({of, verdict, value, count, total, interval, confidence}) {
  if (of === "judge") return `The judge says: ${verdict}.`;
  if (value == null) return `${verdict}, ${counted(total, "answer")}`;
  const range = interval.map(share => `${Math.round(100 * share)} %`).join(" to ");
  return `${count} of ${counted(total, "answer")} say ${value}: ${verdict} (95 % interval ${range})${stated(confidence)}.`;
}

const stated = confidence => confidence == null ? "" : `, stated confidence ${confidence} of 100, not calibrated`;

const side = ({value, count, members, says, confidence}) => el("li", el("b", value), ` ${count}, ${members.join(", ")}${stated(confidence)}`, says && says !== value ? quiet(` ${says}`) : null);

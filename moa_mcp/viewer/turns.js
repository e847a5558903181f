// The conversation before the question of a run: the run that it follows, and its earlier turns.
import {el, folded, region} from "./elements.js";
import {counted} from "./figures.js";

export function withTurns({continues, question: {turns}}, drawn, served) {  // a page of `moa-mcp view` has a link
  if (!continues && !turns.length) return drawn;
  const from = continues && el("p.quiet", "Continues run ", served ? el("a", {href: `/runs/${encodeURIComponent(continues)}`}, continues) : el("code", continues));
  const said = turns.length ? folded(`Conversation before it (${counted(turns.length, "turn")})`, turns.map(({role, content}) => el("div.message", el("h3.quiet", role), el("pre", region(`earlier ${role} turn`), content)))) : null;
  return [drawn[0], el("section", {"aria-label": "conversation", "data-key": "conversation"}, from, said), ...drawn.slice(1)];
}

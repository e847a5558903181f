// Numbers for people, and facts of a run that several parts of the page need.
export const count = number => Math.round(number).toLocaleString("en-US");
export const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
export const priced = cost => cost == null ? "price unknown" : dollars(cost);
export function dollars(cost) {  // as moa_mcp/text/money.py writes it
  if (cost == null) return "unknown";
  if (cost === 0) return "$0";
  if (cost < 0.000001) return "<$0.000001";
  if (cost < 0.01) return `$${fixed(cost, 6)}`;
  const cents = fixed(cost, 2), fine = fixed(cost, 4);
  return `$${cost >= 1 && Number(cents) === Number(fine) ? cents : fine}`;
}
function fixed(number, places) {  // rounds the decimal number that is shown, half to even; toFixed rounds its binary form
  const [digits, exponent = 0] = String(number).split("e");
  const [whole, part = ""] = digits.split("."), from = part.length - exponent - places;
  const all = BigInt(whole + part);
  if (from <= 0) return pointed(all * 10n ** BigInt(-from), places);
  const unit = 10n ** BigInt(from), rest = 2n * (all % unit), lower = all / unit;
  return pointed(rest > unit || rest === unit && lower % 2n ? lower + 1n : lower, places);
}
const pointed = (all, places) => String(all).padStart(places + 1, "0").replace(new RegExp(`(\\d{${places}})$`), ".$1");
export function duration(s) {
  if (s == null) return "…";
  if (s > 0 && s < 0.0995) return `${Math.max(1, Math.round(1000 * s))} ms`;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 99.5) return `${Math.round(s)} s`;
  const whole = Math.round(s);
  return whole < 6000 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : whole < 172800 ? `${(whole / 3600).toFixed(1)} h` : `${count(whole / 86400)} days`;
}
export const elapsed = run => run.seconds ?? (run.status === "running" && !run.interrupted && !run.resumed && run.started_at ? Math.max(0, Date.now() / 1000 - run.started_at) : null);
export const keyOf = call => `${call.place.step}.${call.place.number}.${call.place.sample ?? 0}`;
export const tokens = usage => usage.prompt_tokens + usage.completion_tokens;
export const answered = call => call.text != null;
export const total = costs => costs.reduce((sum, cost) => sum == null || cost == null ? null : sum + cost, 0);
export const layers = run => run.steps.filter(step => step.calls.length);
export const otherModel = step => /^(propose|synthesize|refine|critique|review)$/.test(step.kind) ? "agents=MODEL,MODEL" : "agent=MODEL";
export const callsOf = run => run.steps.flatMap(step => step.calls);
export const statusOf = run => run.interrupted ? "interrupted" : run.status;
export const ownCalls = run => run.steps.slice(run.inherited_steps ?? 0).flatMap(step => step.calls);
export function outcome(call) {
  if (call.failure) return `failed: ${call.failure.kind}`;
  if (!answered(call)) return "running";
  return call.attempts.length > 1 ? `answered at attempt ${call.attempts.length}` : "answered";
}
export function named(step) {  // the name of each call: its agent, with a number if the step calls the agent several times
  const times = new Map(), names = new Map();
  for (const {agent} of step.calls) times.set(agent, (times.get(agent) ?? 0) + 1);
  const seen = new Map();
  for (const call of step.calls) {
    const number = (seen.get(call.agent) ?? 0) + 1;
    seen.set(call.agent, number);
    names.set(call, times.get(call.agent) > 1 ? `${call.agent} #${number}` : call.agent);
  }
  return names;
}

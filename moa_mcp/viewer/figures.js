// Numbers for people, and facts of a run that several parts of the page need.
export const count = number => Math.round(number).toLocaleString("en-US");
export const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
export const dollars = cost => cost == null ? "price unknown" : cost === 0 ? "$0" : `$${cost < 0.00005 ? cost.toPrecision(1) : cost < 0.1 ? cost.toFixed(4) : cost.toFixed(2)}`;
export function duration(s) {
  if (s == null) return "…";
  if (s < 10) return `${s.toFixed(1)} s`;
  return s < 100 ? `${Math.round(s)} s` : s < 6000 ? `${Math.floor(s / 60)} min ${Math.round(s % 60)} s` : `${(s / 3600).toFixed(1)} h`;
}
export const elapsed = run => run.seconds ?? (run.status === "running" && !run.interrupted && !run.resumed && run.started_at ? Math.max(0, Date.now() / 1000 - run.started_at) : null);
export const keyOf = call => `${call.place.step}.${call.place.number}.${call.place.sample ?? 0}`;
export const tokens = usage => usage.prompt_tokens + usage.completion_tokens;
export const answered = call => call.text != null;
export const total = costs => costs.reduce((sum, cost) => sum == null || cost == null ? null : sum + cost, 0);
export const layers = run => run.steps.filter(step => step.calls.length);
export const callsOf = run => run.steps.flatMap(step => step.calls);
export function outcome(call) {
  if (call.failure) return `failed: ${call.failure.kind}`;
  if (!answered(call)) return "running";
  return call.attempts.length > 1 ? `answered at attempt ${call.attempts.length}` : "answered";
}

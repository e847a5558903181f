// The times of a run on one scale. A pause without any call, such as before a resume, is left out and marked.
const PAUSE_S = 2;
const PAUSE_SHARE = 0.02;

export function spans(call, zero, fallback) {  // seconds since `zero`, of a call and of its attempts
  const since = time => !time || !zero ? null : time - zero;
  const from = since(call.started_at) ?? fallback;
  const to = call.seconds == null ? Math.max(from, since(Date.now() / 1000) ?? from) : from + call.seconds;
  let at = from;
  const attempts = call.attempts.map(attempt => {
    const begin = since(attempt.started_at) ?? at;
    const earlier = begin < from || attempt.failure;  // when it stopped is not known
    at = attempt.seconds == null ? earlier ? begin : Math.max(begin, to) : begin + attempt.seconds;
    return {attempt, from: begin, to: at};
  });
  return {call, from, to, attempts};
}

export function scaleOf(calls) {  // {seconds, at: time → seconds without pauses, pauses: [{at, seconds}]}
  const busy = [];
  const parts = calls.flatMap(call => [call, ...call.attempts.filter(each => each.from < call.from)]);
  for (const {from, to} of parts.sort((a, b) => a.from - b.from)) {
    const last = busy.at(-1);
    if (last && from <= last.to) last.to = Math.max(last.to, to);
    else busy.push({from, to});
  }
  const worked = busy.reduce((sum, each) => sum + each.to - each.from, 0);
  const least = Math.max(PAUSE_S, PAUSE_SHARE * worked);
  const gaps = busy.map(({from}, number) => ({from: number ? busy[number - 1].to : 0, to: from})).filter(({from, to}) => to - from >= least);
  const at = time => time - gaps.reduce((sum, {from, to}) => sum + Math.min(Math.max(time - from, 0), to - from), 0);
  return {at, seconds: busy.length ? at(busy.at(-1).to) : 0, pauses: gaps.map(({from, to}) => ({at: at(to), seconds: to - from}))};
}

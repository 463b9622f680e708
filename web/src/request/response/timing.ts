/// Where the time of a request went, as far as the page, the audit entry and the service's own headers tell it.
/// The page's own clock is no measure of what happened inside: a busy page notices an answer late.

export interface Hop {
  name: string;
  says: string;
  /// `null` while it is not known.
  ms: number | null;
}

interface Facts {
  /// What the page itself measured: all from pressing Send, and so much of it for a token.
  totalMs: number | null;
  tokenMs: number;
  /// The audit entry: how long from arrival at the door to the answer's end.
  entry: { outcome?: { duration_ms?: number | null } | null } | undefined;
  /// `Doorman-Timing` of the answer: what passed in the door, in the log, and in the region until the answer's head.
  timing: string | undefined;
}

/// The hops in order; together they are the whole time, but for what rounds to milliseconds.
export function hopsOf({ totalMs, tokenMs, entry, timing }: Facts): Hop[] {
  const told = Object.fromEntries(serverTiming(timing).map(({ name, ms }) => [name, ms]));
  const { door = null, log = null, region = null } = told;
  const inside = entry?.outcome?.duration_ms ?? null;
  return [
    ...(tokenMs >= 1 ? [{ name: 'Token', says: 'A short-lived token for this page, made anew every few minutes', ms: tokenMs }] : []),
    {
      name: 'Browser and network',
      says: 'The way to Doorman and back, and what the browser did',
      ms: totalMs === null || inside === null ? null : Math.max(0, totalMs - tokenMs - inside),
    },
    { name: 'Door', says: 'Who asks, and whether they may', ms: door },
    { name: 'Log', says: 'Until it was written down for good, before anything was sent', ms: log },
    { name: 'Region', says: 'The region’s proxy and the service, until its answer began', ms: region },
    {
      name: 'Rest of the answer',
      says: 'From the beginning of the service’s answer to its end',
      ms: inside === null || door === null || log === null || region === null ? null : Math.max(0, inside - door - log - region),
    },
  ];
}

/// What the service says of its own time: `Server-Timing: db;dur=53, cache;desc="hit"`.
export function serverTiming(header: string | undefined): { name: string; ms: number }[] {
  return [...(header ?? '').matchAll(/(?:^|,)\s*([\w!#$%&'*+.^`|~-]+)((?:\s*;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^;,"]*))*)/g)].flatMap(([, name, rest]) => {
    const ms = Number(/;\s*dur\s*=\s*"?([\d.]+)/i.exec(rest ?? '')?.[1] ?? Number.NaN);
    return name !== undefined && Number.isFinite(ms) ? [{ name, ms }] : [];
  });
}

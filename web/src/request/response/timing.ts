/// Where the time of a request went, as far as the page, the audit entry and the service's own headers tell it.
/// The page's own clock is no measure of what happened inside: a busy page notices an answer late.
import { timeOfId } from '../../jobs/outcomes';

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
  /// The audit entry: arrival at the door, and from there to the answer's end.
  entry: { id: string; time: string; outcome?: { duration_ms?: number | null } | null } | undefined;
}

/// The hops in order; together they are the whole time, but for what rounds to milliseconds.
export function hopsOf({ totalMs, tokenMs, entry }: Facts): Hop[] {
  const inside = entry?.outcome?.duration_ms ?? null;
  const placed = timeOfId(entry?.id);
  const door = inside === null || placed === undefined || entry === undefined ? null : Math.max(0, Math.min(placed - Date.parse(entry.time), inside));
  return [
    ...(tokenMs >= 1 ? [{ name: 'Token', says: 'A short-lived token for this page, made anew every few minutes', ms: tokenMs }] : []),
    {
      name: 'Browser and network',
      says: 'The way to Doorman and back, and what the browser did',
      ms: totalMs === null || inside === null ? null : Math.max(0, totalMs - tokenMs - inside),
    },
    { name: 'Door', says: 'Who asks, whether they may, and the wait for a place in the log', ms: door },
    {
      name: 'Log, proxy and service',
      says: 'Written down, sent through the region’s proxy, to the end of the service’s answer',
      ms: inside === null || door === null ? null : inside - door,
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

/// Times as people read them, in the browser's own zone; the exact one on hover and for assistive technology.

const SAME_DAY = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
const SAME_YEAR = new Intl.DateTimeFormat(undefined, { day: '2-digit', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
const ANY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hour12: false });

/// A time, without what is the same today.
export function formatTime(time: string | number, now = new Date()): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return String(time);
  if (date.toDateString() === now.toDateString()) return SAME_DAY.format(date);
  return (date.getFullYear() === now.getFullYear() ? SAME_YEAR : ANY).format(date);
}

/// A span of milliseconds: `340 ms`, `2.1 s`, `3 min 20 s`, `2 h 5 min`, `3 d`.
export function formatSpan(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const parts = [
    [Math.floor(ms / 86_400_000), 'd'],
    [Math.floor(ms / 3_600_000) % 24, 'h'],
    [Math.floor(ms / 60_000) % 60, 'min'],
    [Math.floor(ms / 1000) % 60, 's'],
  ] as const;
  const first = parts.findIndex(([number]) => number > 0);
  return parts
    .slice(first, first + 2)
    .filter(([number]) => number > 0)
    .map(([number, unit]) => `${number} ${unit}`)
    .join(' ');
}

/// How far away a time is: `in 3 d`, `2 h 5 min ago`.
export function formatDistance(time: string, now = Date.now()): string {
  const ms = Date.parse(time) - now;
  if (Math.abs(ms) < 5_000) return 'just now';
  return ms > 0 ? `in ${formatSpan(ms)}` : `${formatSpan(-ms)} ago`;
}

/// A time on the page.
export function Time({ at, distance }: { at: string; distance?: boolean }) {
  return (
    <time dateTime={at} title={at} style={{ whiteSpace: 'nowrap' }}>
      {distance ? formatDistance(at) : formatTime(at)}
    </time>
  );
}

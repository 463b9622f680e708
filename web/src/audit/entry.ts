/// What is read off an audit entry: names, colours, and whether it can be sent again.
import type { Schema } from '../client/api';

export type Entry = Schema<'AuditEntry'>;

/// How an entry ended, as a word and a colour. The word says it all; the colour only helps.
export function outcomeOf(entry: Entry): { label: string; color: string; hint: string } {
  const { outcome } = entry;
  const status = outcome?.status;
  if (outcome?.state === 'denied' || entry.decision === 'deny') {
    return { label: status ? `denied ${status}` : 'denied', color: 'orange', hint: 'Refused; nothing was sent.' };
  }
  if (outcome === null || outcome === undefined) {
    return entry.kind === 'request'
      ? { label: 'under way', color: 'blue', hint: 'Sent, or about to be; its outcome is not known yet.' }
      : { label: 'noted', color: 'gray', hint: 'There is no outcome to this kind of entry.' };
  }
  switch (outcome.state) {
    case 'done':
      if (status === null || status === undefined) {
        return { label: outcome.error ?? 'done', color: outcome.error ? 'red' : 'green', hint: 'It is done.' };
      }
      return { label: String(status), color: status < 400 ? 'green' : 'red', hint: 'The service answered with this status.' };
    case 'unsent':
      return { label: 'not sent', color: 'gray', hint: 'Written down, and provably not sent.' };
    case 'abandoned':
      return { label: 'abandoned', color: 'gray', hint: 'Written down too late, and never sent.' };
    case 'unknown':
      return { label: 'unknown', color: 'grape', hint: 'It may have been sent; nobody knows how it ended.' };
  }
}

/// What was done, in one line: the request line, or what else happened.
export function titleOf(entry: Entry): string {
  if (entry.method && entry.region) {
    const query = entry.query ? `?${entry.query}` : '';
    return `${entry.method} ${placeOf(entry)}${entry.path ?? ''}${query}`;
  }
  const detail = entry.detail ?? {};
  const rest = Object.entries(detail)
    .filter(([name]) => name !== 'change')
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
  const what = [entry.kind.replaceAll('_', ' '), detail.change].filter(Boolean).join(' ');
  const count = entry.count ? ` × ${entry.count}` : '';
  return `${what}${count}${rest ? `: ${rest}` : ''}`;
}

/// `eu/companies@companies-2`, where it went; the instance that answered if one did.
export function placeOf(entry: Entry): string {
  const instance = entry.outcome?.instance ?? entry.instance;
  return `${entry.region ?? ''}/${entry.service ?? ''}${instance && instance !== 'any' ? `@${instance}` : ''}`;
}

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/// Whether sending it again may change something (RFC 9110 §9.2.1).
export function isUnsafe(method: string | null | undefined): boolean {
  return !SAFE.has(method ?? '');
}

/// What must be given anew before it can be sent again: a mask or a part of a body is never sent.
export function missingParts(entry: Entry): { body: boolean; query: boolean; headers: string[] } {
  const redacted = entry.redacted ?? [];
  return {
    body: redacted.some((what) => what.startsWith('body')) || entry.body_truncated === true || (hasBody(entry) && entry.body == null),
    query: redacted.some((what) => what.startsWith('query')),
    headers: redacted.filter((what) => what.startsWith('header:')).map((what) => what.slice('header:'.length)),
  };
}

function hasBody(entry: Entry): boolean {
  return (entry.body_size ?? 0) > 0;
}

/// Whether it is a request to a live service, so that it can be sent again.
export function canRetry(entry: Entry): boolean {
  return entry.kind === 'request' && Boolean(entry.region && entry.service && entry.method);
}

/// `alice`, from `user:alice`; services keep their kind.
export function shortName(principal: string | null | undefined): string {
  return (principal ?? 'nobody').replace(/^user:/, '');
}

/// A body as it is shown: decoded, JSON indented.
export function showBody(text: string, encoding: string | null | undefined): { text: string; note: string | null } {
  if (encoding === 'base64') {
    return { text: hexDump(text), note: 'Binary, shown as hexadecimal' };
  }
  if (/^\s*[[{]/.test(text) && text.length < 200_000) {
    try {
      return { text: JSON.stringify(JSON.parse(text), null, 2), note: null };
    } catch {
      // A prefix or something that only looks like JSON is shown as it is.
    }
  }
  return { text, note: null };
}

function hexDump(base64: string): string {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).slice(0, 4096);
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.slice(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const text = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex.padEnd(47)}  ${text}`);
  }
  return lines.join('\n');
}

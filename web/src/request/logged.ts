/// A request from the audit log as a draft, to be looked at, changed and sent again.
import { type Entry, missingParts } from '../audit/entry';
import { isDoormans, isKeptByBrowser } from './compose';
import { type Draft, emptyDraft, row } from './draft';

/// What browsers add of themselves, and what describes the body that is written anew.
const OF_THE_CLIENT = /^(accept|accept-language|cache-control|pragma|user-agent|priority|content-type|authorization)$/i;

/// The draft, and what the log does not tell, in words.
export function draftOfEntry(entry: Entry): { draft: Draft; notes: string[] } {
  const missing = missingParts(entry);
  const masked = new Set(missing.headers.map((name) => name.toLowerCase()));
  const headers = Object.entries(entry.headers ?? {})
    .filter(([name]) => !isKeptByBrowser(name) && !isDoormans(name) && !OF_THE_CLIENT.test(name) && !masked.has(name.toLowerCase()))
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => row(name, one)));
  const type = String(entry.headers?.['content-type'] ?? '');
  const text = missing.body || entry.body_encoding === 'base64' ? '' : (entry.body ?? '');
  const hasBody = (entry.body_size ?? 0) > 0;
  const notes = [
    ...(missing.headers.length > 0 ? [`The log masks ${missing.headers.join(', ')}.`] : []),
    ...(missing.query ? ['The log masks a part of the query.'] : []),
    ...(hasBody && text === '' ? ['The log does not hold the whole body as text: give it anew.'] : []),
  ];
  const isJson = /\bjson\b/.test(type);
  const draft: Draft = {
    ...emptyDraft(),
    region: entry.region ?? '',
    service: entry.service ?? '',
    instance: entry.instance || 'any',
    method: entry.method ?? 'GET',
    path: entry.path || '/',
    query: missing.query ? [] : pairsOf(entry.query ?? ''),
    headers: !isJson && type !== '' && hasBody ? [...headers, row('Content-Type', type)] : headers,
    body: { kind: !hasBody ? 'none' : isJson ? 'json' : 'text', text, form: [], parts: [] },
    reason: entry.reason ?? '',
  };
  return { draft, notes };
}

/// Parts as they were sent: what is encoded stays so.
function pairsOf(query: string) {
  return query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.indexOf('=');
      return at < 0 ? row(part, '') : row(part.slice(0, at), part.slice(at + 1));
    });
}

/// A request as it is written, before variables are put in.

/// One line of a table of names and values. Lines that are off are kept and not sent.
export interface Row {
  name: string;
  value: string;
  on: boolean;
}

/// A line of a multipart form: text or a chosen file. Files live in memory alone.
export interface PartRow extends Row {
  file?: File;
}

export type BodyKind = 'none' | 'json' | 'text' | 'form' | 'multipart' | 'file';

export interface BodyDraft {
  kind: BodyKind;
  /// For `json` and `text`.
  text: string;
  form: Row[];
  parts: PartRow[];
  file?: File;
}

export interface Draft {
  region: string;
  service: string;
  /// An instance id, `any` or `all`.
  instance: string;
  method: string;
  /// Begins with `/`; without the query.
  path: string;
  query: Row[];
  headers: Row[];
  body: BodyDraft;
  reason: string;
}

export const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

export function emptyDraft(): Draft {
  return {
    region: '',
    service: '',
    instance: 'any',
    method: 'GET',
    path: '/',
    query: [],
    headers: [],
    body: { kind: 'none', text: '', form: [], parts: [] },
    reason: '',
  };
}

export function row(name: string, value: string, on = true): Row {
  return { name, value, on };
}

/// What a tab or a saved request is called when nobody named it: `GET echo /hello`.
export function titleOf(draft: Draft): string {
  return `${draft.method} ${draft.service || '…'} ${draft.path}`;
}

/// Names whose values are never written to storage.
const SECRET = /^(authorization|proxy-authorization|cookie|doorman-.*|.*(token|secret|password|passwd|api-?key|session|credential|auth).*)$/i;

/// Whether a header's value is likely a secret.
export function isSecretName(name: string): boolean {
  return SECRET.test(name.trim());
}

/// A draft without what storage must not hold: values of secret headers, and files.
export function withoutSecrets(draft: Draft): Draft {
  const blank = <R extends Row>(rows: R[]) => rows.map((line) => (isSecretName(line.name) ? { ...line, value: '' } : line));
  return {
    ...draft,
    headers: blank(draft.headers),
    query: blank(draft.query),
    body: {
      kind: draft.body.kind,
      text: draft.body.text,
      form: blank(draft.body.form),
      parts: blank(draft.body.parts).map(({ name, value, on }) => ({ name, value, on })),
    },
  };
}

/// A draft of which only the kind of its body is left.
export function withoutBody(draft: Draft): Draft {
  return { ...draft, body: { ...emptyDraft().body, kind: draft.body.kind } };
}

/// A draft from whatever was stored, by whichever version: what does not fit is as in an empty one.
export function draftFrom(stored: unknown): Draft {
  const from = (typeof stored === 'object' && stored !== null ? stored : {}) as Record<string, unknown>;
  const text = (value: unknown, otherwise: string) => (typeof value === 'string' ? value : otherwise);
  const rows = (value: unknown): Row[] =>
    Array.isArray(value)
      ? value
          .filter((line): line is Record<string, unknown> => typeof line === 'object' && line !== null)
          .map((line) => row(text(line.name, ''), text(line.value, ''), line.on !== false))
      : [];
  const body = (typeof from.body === 'object' && from.body !== null ? from.body : {}) as Record<string, unknown>;
  const kinds: BodyKind[] = ['none', 'json', 'text', 'form', 'multipart', 'file'];
  return {
    region: text(from.region, ''),
    service: text(from.service, ''),
    instance: text(from.instance, 'any') || 'any',
    method: text(from.method, 'GET').toUpperCase() || 'GET',
    path: text(from.path, '/') || '/',
    query: rows(from.query),
    headers: rows(from.headers),
    body: {
      kind: kinds.find((kind) => kind === body.kind) ?? 'none',
      text: text(body.text, ''),
      form: rows(body.form),
      parts: rows(body.parts),
    },
    reason: text(from.reason, ''),
  };
}

/// Rows as text, one a line, for editing many at once: `name: value`, with `#` before what is off.
export function rowsToText(rows: Row[]): string {
  return rows.map(({ name, value, on }) => `${on ? '' : '# '}${name}: ${value}`).join('\n');
}

/// The opposite of [`rowsToText`]; `name=value` and tabs (as copied from a spreadsheet) do as well.
export function rowsFromText(text: string): Row[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && line !== '#')
    .map((line) => {
      const on = !line.startsWith('#');
      const rest = on ? line : line.slice(1).trim();
      const at = /[:=\t]/.exec(rest)?.index ?? rest.length;
      return row(rest.slice(0, at).trim(), rest.slice(at + 1).trim(), on);
    });
}

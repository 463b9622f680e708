/// From a draft to what is sent: variables put in, names and values encoded, the body built. Pure but for files.
import { type Draft, type Row } from './draft';
import { fill } from './variables';

export interface Composed {
  method: string;
  /// Path and query at the service: `/hello?from=me`.
  target: string;
  /// At Doorman: `/r/eu/echo/hello?from=me`.
  url: string;
  headers: [string, string][];
  body: Blob | FormData | string | null;
  reason: string;
}

/// Why a draft cannot be sent, in words.
export class Unsendable extends Error {}

/// Headers that a page may not set; the browser drops them without a word, so it is said beforehand.
const BROWSER_KEEPS =
  /^(accept-charset|accept-encoding|access-control-request-.*|connection|content-length|cookie2?|date|dnt|expect|host|keep-alive|origin|proxy-.*|referer|sec-.*|set-cookie|te|trailer|transfer-encoding|upgrade|via)$/i;

export function isKeptByBrowser(name: string): boolean {
  return BROWSER_KEEPS.test(name.trim());
}

/// Header names whose own value would be consumed by Doorman.
export function isDoormans(name: string): boolean {
  return /^doorman-/i.test(name.trim());
}

const live = (rows: Row[]) => rows.filter(({ name, on }) => on && name.trim() !== '');

/// The address of a draft, and the variables in it that have no value.
export function addressOf(draft: Draft, values: Map<string, string>): { target: string; url: string; missing: string[] } {
  const missing = new Set<string>();
  const put = (text: string) => fill(text, values, missing);
  const path = encodePath(put(draft.path.startsWith('/') ? draft.path : `/${draft.path}`));
  const pairs = live(draft.query).map(({ name, value }) => `${encodeQuery(put(name))}=${encodeQuery(put(value))}`);
  const target = path + (pairs.length > 0 ? `?${pairs.join('&')}` : '');
  const instance = draft.instance === 'any' || draft.instance === '' ? '' : `@${encodeURIComponent(draft.instance)}`;
  return { target, url: `/r/${encodeURIComponent(draft.region)}/${encodeURIComponent(draft.service)}${instance}${target}`, missing: [...missing] };
}

/// Builds the request.
export function compose(draft: Draft, values: Map<string, string>): Composed {
  if (draft.region === '' || draft.service === '') {
    throw new Unsendable('Choose a region and a service first.');
  }
  const { target, url, missing: unknown } = addressOf(draft, values);
  const missing = new Set(unknown);
  const put = (text: string) => fill(text, values, missing);
  const headers = live(draft.headers).map(({ name, value }): [string, string] => [put(name).trim(), put(value).trim()]);
  const wrong = headers.find(([name, value]) => !/^[!#$%&'*+.^`|~\w-]+$/.test(name) || /[\r\n\0]/.test(value));
  if (wrong !== undefined) {
    throw new Unsendable(`“${wrong[0]}” is no header that can be sent: check its name and value.`);
  }
  const { body, type } = composeBody(draft, put);
  const hasBody = body !== null;
  if (hasBody && (draft.method === 'GET' || draft.method === 'HEAD')) {
    throw new Unsendable(`Browsers send no body with ${draft.method}. Choose another method, or no body.`);
  }
  if (type !== null && !headers.some(([name]) => name.toLowerCase() === 'content-type')) {
    headers.push(['Content-Type', type]);
  }
  const reason = put(draft.reason).trim();
  if (missing.size > 0) {
    const names = [...missing].map((name) => `{{${name}}}`).join(', ');
    throw new Unsendable(`No value for ${names}: choose an environment that has it, or define it.`);
  }
  return { method: draft.method, target, url, headers, body, reason };
}

function composeBody(draft: Draft, put: (text: string) => string): { body: Composed['body']; type: string | null } {
  const { kind, text, form, parts, file } = draft.body;
  switch (kind) {
    case 'none':
      return { body: null, type: null };
    case 'json':
      return { body: put(text), type: 'application/json' };
    case 'text':
      return { body: put(text), type: 'text/plain; charset=utf-8' };
    case 'form':
      return {
        body: new URLSearchParams(live(form).map(({ name, value }) => [put(name), put(value)])).toString(),
        type: 'application/x-www-form-urlencoded',
      };
    case 'multipart': {
      const data = new FormData();
      for (const part of parts.filter(({ name, on }) => on && name.trim() !== '')) {
        if (part.file !== undefined) {
          data.append(put(part.name), part.file, part.file.name);
        } else {
          data.append(put(part.name), put(part.value));
        }
      }
      // The browser writes the type, since it chooses the boundary.
      return { body: data, type: null };
    }
    case 'file':
      if (file === undefined) {
        throw new Unsendable('Choose the file to send. Files are not kept over a reload.');
      }
      return { body: file, type: file.type || 'application/octet-stream' };
  }
}

/// Encodes what cannot stand in a path, and leaves everything else as typed: the path is the user's to the byte.
export function encodePath(path: string): string {
  return path.replace(/[^\w\-.~!$&'()*+,;=:@/%]/gu, (char) => encodeURIComponent(char));
}

/// A query part. What is already encoded stays so: `%41` means what it says.
function encodeQuery(text: string): string {
  return text.replace(/%(?![0-9a-f]{2})|[^\w\-.~!$'()*,;:@/?%]/giu, (char) => encodeURIComponent(char));
}

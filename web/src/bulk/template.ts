/// What a request will look like for one row. The server renders for real and is the judge; this preview follows the same
/// rules, so that mistakes show while typing.

import type { RequestSpec } from '../jobs/wire';

/// A request with `{{column}}` placeholders, as jobs have it.
export type RequestTemplate = {
  /// Where each row is sent: one region, several one after the other, or a column that says it.
  regions: string[];
  service: string;
  instance: string;
  method: string;
  path: string;
  query: Pair[];
  headers: Pair[];
  /// Text as typed; JSON when `bodyKind` says so.
  body: string;
  bodyKind: 'none' | 'json' | 'text';
};

/// A name and a value, with a key of its own so that lists of fields keep their focus.
export type Pair = { key: number; name: string; value: string };

// `{{weight|number}}` also says what the value must be.
const PLACEHOLDER = /\{\{\s*([^{}|]*?)\s*(?:\|\s*\w+\s*)?\}\}/g;
/// A JSON string that is one placeholder and becomes a number or a boolean.
const TYPED = /"(\{\{[^{}|]*\|\s*(?:number|boolean)\s*\}\})"/g;

/// Where a value stands decides how it is escaped.
export type Place = 'path' | 'query' | 'header' | 'json' | 'text';

/// The names of all placeholders of a text.
export function placeholdersOf(text: string): string[] {
  return [...text.matchAll(PLACEHOLDER)].map((match) => match[1] ?? '');
}

/// The text with the row's values, escaped for the place. Unknown placeholders stay as they are.
export function renderText(text: string, row: Record<string, string>, place: Place): string {
  return text.replace(PLACEHOLDER, (whole, name: string) => {
    const value = row[name];
    return value === undefined ? whole : escapeFor(value, place);
  });
}

// Spreadsheets and paste can leave halves of characters, which encodeURIComponent refuses.
const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;

function escapeFor(value: string, place: Place): string {
  switch (place) {
    case 'path':
    case 'query':
      // Beyond what encodeURIComponent leaves, so that no value adds a segment, a parameter or a dot segment.
      return encodeURIComponent(value.replace(LONE_SURROGATE, '\uFFFD')).replace(
        /[!'()*]/g,
        (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
      );
    case 'json':
      return JSON.stringify(value).slice(1, -1);
    case 'header':
    case 'text':
      return value;
  }
}

/// A request as it would be sent for a row.
export type Rendered = {
  method: string;
  url: string;
  headers: [string, string][];
  body: string | undefined;
};

/// Renders the whole request for one row.
export function renderRequest(template: RequestTemplate, row: Record<string, string>): Rendered {
  const path = renderText(template.path, row, 'path');
  const query = template.query
    .filter((pair) => pair.name)
    .map((pair) => `${encodeURIComponent(renderText(pair.name, row, 'text'))}=${renderValue(pair.value, row)}`)
    .join('&');
  const at = template.instance && template.instance !== 'any' ? `@${template.instance}` : '';
  const url = `/r/${renderText(template.regions[0] ?? '', row, 'text')}/${template.service}${at}${path.startsWith('/') ? '' : '/'}${path}${query ? `?${query}` : ''}`;
  const headers = template.headers
    .filter((pair) => pair.name)
    .map((pair): [string, string] => [pair.name, renderText(pair.value, row, 'header')]);
  const place = template.bodyKind === 'json' ? 'json' : 'text';
  const source = place === 'json' ? template.body.replace(TYPED, '$1') : template.body;
  const body = template.bodyKind === 'none' ? undefined : renderText(source, row, place);
  return { method: template.method, url, headers, body };
}

function renderValue(value: string, row: Record<string, string>): string {
  let out = '';
  let at = 0;
  for (const match of value.matchAll(PLACEHOLDER)) {
    out += encodeURIComponent(value.slice(at, match.index));
    const known = row[match[1] ?? ''];
    out += known === undefined ? match[0] : escapeFor(known, 'query');
    at = match.index + match[0].length;
  }
  return out + encodeURIComponent(value.slice(at));
}

/// What is wrong with a template, by field; empty when it could be sent.
export function templateErrors(template: RequestTemplate, columns: string[]): Partial<Record<string, string>> {
  const errors: Partial<Record<string, string>> = {};
  const known = new Set(columns);
  const check = (field: string, text: string) => {
    const unknown = placeholdersOf(text).find((name) => !known.has(name));
    if (unknown !== undefined) {
      errors[field] = `There is no column “${unknown}”. Columns: ${columns.join(', ') || 'none yet'}`;
    }
  };
  if (template.regions.length === 0) errors.region = 'Choose a region';
  else check('region', template.regions.join(' '));
  if (!template.service) errors.service = 'Choose a service';
  if (!template.path.startsWith('/')) errors.path = 'Begins with /';
  check('path', template.path);
  template.query.forEach((pair, index) => check(`query.${index}`, pair.value));
  template.headers.forEach((pair, index) => check(`headers.${index}`, pair.value));
  if (template.bodyKind !== 'none') check('body', template.body);
  if (template.bodyKind === 'json' && !errors.body) {
    const message = jsonError(template.body);
    if (message) errors.body = message;
  }
  const texts = [template.path, template.body, template.instance, ...template.regions, ...[...template.query, ...template.headers].map((pair) => pair.value)];
  if (columns.length > 0 && !errors.path && !texts.some((text) => placeholdersOf(text).length > 0)) {
    errors.path = `Every row would send the same request. Put a column in, such as {{${columns[0]}}}`;
  }
  return errors;
}

function jsonError(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return `Not JSON: ${error instanceof Error ? error.message : '?'}. Placeholders stand inside quotes: "{{id}}"`;
  }
}

/// The template as jobs have it on the wire.
export function templateToWire(template: RequestTemplate): RequestSpec {
  const pairs = (list: Pair[]) =>
    Object.fromEntries(list.filter((pair) => pair.name).map((pair) => [pair.name, pair.value]));
  const query = pairs(template.query);
  const headers = pairs(template.headers);
  return {
    ...(template.regions.length > 1 ? { regions: template.regions } : { region: template.regions[0] ?? '' }),
    service: template.service,
    instance: template.instance || 'any',
    method: template.method,
    path: template.path,
    ...(Object.keys(query).length > 0 && { query }),
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(template.bodyKind === 'json' && { body: JSON.parse(template.body) as unknown }),
    ...(template.bodyKind === 'text' && { body: template.body }),
  };
}

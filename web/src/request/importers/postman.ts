/// Postman's Collection Format v2.1 (schema.getpostman.com/json/collection/v2.1.0).
import { row } from '../draft';
import { type Imported, draftWith, list, placeAddress, text } from './index';

type Json = Record<string, unknown>;

export function readPostman(file: Json): Imported[] {
  return readItems(list(file.item), []);
}

function readItems(items: Json[], folders: string[]): Imported[] {
  return items.flatMap((item) =>
    'item' in item ? readItems(list(item.item), [...folders, text(item.name)]) : [readItem(item, folders)],
  );
}

function readItem(item: Json, folders: string[]): Imported {
  // A request can be a bare address.
  const request: Json = typeof item.request === 'string' ? { url: item.request } : ((item.request ?? {}) as Json);
  const draft = draftWith(request.method);
  const url = (typeof request.url === 'string' ? { raw: request.url } : (request.url ?? {})) as Json;
  draft.query = rows(url.query, 'key');
  // `:id` of Postman is a variable of the path.
  const variables = new Map(list(url.variable).map((variable) => [text(variable.key), text(variable.value)]));
  placeAddress(draft, text(url.raw));
  draft.path = draft.path.replace(/:(\w+)/g, (whole, name: string) => variables.get(name) || (variables.has(name) ? `{{${name}}}` : whole));
  draft.headers = rows(request.header, 'key');
  const body = (request.body ?? {}) as Json;
  switch (body.mode) {
    case 'raw': {
      const language = text(((body.options as Json | undefined)?.raw as Json | undefined)?.language);
      const kind = language === 'json' || /^\s*[[{]/.test(text(body.raw)) ? 'json' : 'text';
      draft.body = { ...draft.body, kind, text: text(body.raw) };
      break;
    }
    case 'urlencoded':
      draft.body = { ...draft.body, kind: 'form', form: rows(body.urlencoded, 'key') };
      break;
    case 'formdata':
      draft.body = { ...draft.body, kind: 'multipart', parts: rows(body.formdata, 'key') };
      break;
    case 'graphql':
      draft.body = { ...draft.body, kind: 'json', text: JSON.stringify(body.graphql, null, 2) };
      break;
    case 'file':
      draft.body = { ...draft.body, kind: 'file' };
      break;
  }
  return { folders, name: text(item.name) || `${draft.method} ${draft.path}`, draft };
}

function rows(value: unknown, key: string) {
  return list(value).map((line) => row(text(line[key]), text(line.value), line.disabled !== true));
}

/// Bruno: its `.bru` files (blocks of `name: value`) and its collections exported as JSON.
import { type Row, row } from '../draft';
import { type Imported, draftWith, list, placeAddress, text } from './index';

type Json = Record<string, unknown>;

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'options', 'head'];

/// Reads one `.bru` file; files that hold no request (folder.bru, collection.bru) give nothing.
export function readBru(file: string, source: string): Imported[] {
  const blocks = blocksOf(source);
  const method = METHODS.find((name) => blocks.has(name));
  if (method === undefined) {
    return [];
  }
  const head = new Map(pairs(blocks.get(method) ?? '').map(({ name, value }) => [name, value]));
  const meta = new Map(pairs(blocks.get('meta') ?? '').map(({ name, value }) => [name, value]));
  const draft = draftWith(method);
  draft.query = pairs(blocks.get('params:query') ?? blocks.get('query') ?? '');
  placeAddress(draft, head.get('url') ?? '');
  const inPath = new Map(pairs(blocks.get('params:path') ?? '').map(({ name, value }) => [name, value]));
  draft.path = draft.path.replace(/:(\w+)/g, (whole, name: string) => inPath.get(name) || whole);
  draft.headers = pairs(blocks.get('headers') ?? '');
  const own = (name: string) => dedent(blocks.get(`body:${name}`) ?? '');
  switch (head.get('body')) {
    case 'json':
      draft.body = { ...draft.body, kind: 'json', text: own('json') || dedent(blocks.get('body') ?? '') };
      break;
    case 'text':
    case 'xml':
      draft.body = { ...draft.body, kind: 'text', text: own(head.get('body') ?? '') };
      break;
    case 'formUrlEncoded':
      draft.body = { ...draft.body, kind: 'form', form: pairs(blocks.get('body:form-urlencoded') ?? '') };
      break;
    case 'multipartForm':
      draft.body = { ...draft.body, kind: 'multipart', parts: pairs(blocks.get('body:multipart-form') ?? '') };
      break;
  }
  return [{ folders: [], name: meta.get('name') ?? file.replace(/\.bru$/, ''), draft }];
}

/// Blocks by name. A block ends at a `}` that stands at the beginning of a line.
function blocksOf(source: string): Map<string, string> {
  const blocks = new Map<string, string>();
  for (const [, name = '', content = ''] of source.matchAll(/^([\w:-]+)\s*\{[ \t]*\r?\n([\s\S]*?)^\}/gm)) {
    blocks.set(name, content);
  }
  return blocks;
}

/// `name: value` lines; `~` before a name turns it off.
function pairs(block: string): Row[] {
  return block
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.includes(':'))
    .map((line) => {
      const on = !line.startsWith('~');
      const at = line.indexOf(':');
      const value = line.slice(at + 1).trim();
      return row(line.slice(on ? 0 : 1, at).trim(), value.startsWith('@file(') ? '' : value, on);
    });
}

function dedent(block: string): string {
  return block.replace(/^ {2}/gm, '').trimEnd();
}

/// Reads an exported collection.
export function readBrunoExport(file: Json): Imported[] {
  return readItems(list(file.items), []);
}

function readItems(items: Json[], folders: string[]): Imported[] {
  return items.flatMap((item) => {
    if (item.type === 'folder' || (Array.isArray(item.items) && !item.request)) {
      return readItems(list(item.items), [...folders, text(item.name)]);
    }
    const request = (item.request ?? {}) as Json;
    const draft = draftWith(request.method);
    draft.query = rows(list(request.params).filter((line) => line.type !== 'path'));
    placeAddress(draft, text(request.url));
    const inPath = new Map(list(request.params).filter((line) => line.type === 'path').map((line) => [text(line.name), text(line.value)]));
    draft.path = draft.path.replace(/:(\w+)/g, (whole, name: string) => inPath.get(name) || whole);
    draft.headers = rows(list(request.headers));
    const body = (request.body ?? {}) as Json;
    const mode = text(body.mode);
    if (mode === 'json' || mode === 'text' || mode === 'xml') {
      draft.body = { ...draft.body, kind: mode === 'json' ? 'json' : 'text', text: text(body[mode]) };
    } else if (mode === 'formUrlEncoded') {
      draft.body = { ...draft.body, kind: 'form', form: rows(list(body.formUrlEncoded)) };
    } else if (mode === 'multipartForm') {
      draft.body = { ...draft.body, kind: 'multipart', parts: rows(list(body.multipartForm)) };
    }
    return [{ folders, name: text(item.name) || `${draft.method} ${draft.path}`, draft }];
  });
}

function rows(lines: Json[]): Row[] {
  return lines.map((line) => row(text(line.name), text(line.value), line.enabled !== false));
}

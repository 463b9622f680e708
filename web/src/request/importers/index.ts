/// Requests out of other tools' files. Each file is told by its content, not by its name.
import { type Draft, emptyDraft, row } from '../draft';
import { readBru, readBrunoExport } from './bruno';
import { readOpenApi } from './openapi';
import { readPostman } from './postman';

/// A request with its place: folders from the outermost.
export interface Imported {
  folders: string[];
  name: string;
  draft: Draft;
}

/// Reads one file; throws with words for the user where it is none of ours.
export async function readFile(name: string, text: string): Promise<Imported[]> {
  if (name.endsWith('.bru')) {
    return readBru(name, text);
  }
  const value = await parse(text);
  if (typeof value !== 'object' || value === null) {
    throw new Error(`${name} holds neither JSON nor YAML of a collection.`);
  }
  const file = value as Record<string, unknown>;
  if ('openapi' in file || 'swagger' in file) {
    return readOpenApi(file);
  }
  if ('info' in file && 'item' in file) {
    return readPostman(file);
  }
  if ('items' in file) {
    return readBrunoExport(file);
  }
  throw new Error(`${name} is no Postman collection (v2.1), Bruno file or export, or OpenAPI document.`);
}

async function parse(text: string): Promise<unknown> {
  try {
    return JSON.parse(text);
  } catch {
    const { parse } = await import('yaml');
    // Aliases multiply: a small file must not become a huge one.
    return parse(text, { maxAliasCount: 100 });
  }
}

/// Path and query of an address in another tool's notation. What stands before the path becomes none of it.
export function placeAddress(draft: Draft, address: string): void {
  const withoutHost = address.replace(/^(?:[a-z][a-z0-9+.-]*:\/\/[^/?#]*|\{\{[^}]+\}\}|[^/?#]+(?=\/))/i, '');
  const [beforeHash = ''] = withoutHost.split('#');
  const at = beforeHash.indexOf('?');
  const path = at < 0 ? beforeHash : beforeHash.slice(0, at);
  draft.path = path.startsWith('/') ? path : `/${path}`;
  if (at >= 0 && draft.query.length === 0) {
    draft.query = [...new URLSearchParams(beforeHash.slice(at + 1))].map(([name, value]) => row(name, value));
  }
}

export function draftWith(method: unknown): Draft {
  return { ...emptyDraft(), method: typeof method === 'string' && method !== '' ? method.toUpperCase() : 'GET' };
}

export const list = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'object' && item !== null) : [];

export const text = (value: unknown): string =>
  typeof value === 'string' ? value : value === null || value === undefined ? '' : String(value);

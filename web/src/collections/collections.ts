/// Saved requests at the server, as the console reads and writes them.
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type Schema, api, call } from '../client/api';
import { type Draft, draftFrom, withoutSecrets } from '../request/draft';
import type { Imported } from '../request/importers';

export type SavedRequest = Schema<'SavedRequest'>;

const KEY = 'collections';
/// Pages that are read at most: ten thousand requests are what one person may keep.
const MAX_PAGES = 20;

/// All that are in sight and contain `q`.
export function useSavedRequests(q: string) {
  return useQuery({
    queryKey: [KEY, q],
    queryFn: async () => {
      const items: SavedRequest[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < MAX_PAGES; page += 1) {
        const query = { limit: 500, cursor, q: q || undefined };
        const answer = await call(api.GET('/api/v1/collections', { params: { query } }));
        items.push(...answer.items);
        if (!answer.next_cursor) {
          break;
        }
        cursor = answer.next_cursor;
      }
      return items;
    },
  });
}

/// Reads them anew, as after a change.
export function useRefreshSaved(): () => Promise<void> {
  const queries = useQueryClient();
  return () => queries.invalidateQueries({ queryKey: [KEY] });
}

/// A saved request as a tab holds it.
export function draftOf(saved: { request: unknown }): Draft {
  return draftFrom(saved.request);
}

/// What is sent to be saved: secrets and files stay here.
export function edit(name: string, folder: string, sharedWith: string[], draft: Draft): Schema<'SavedRequestEdit'> {
  const { body, ...rest } = withoutSecrets(draft);
  const { kind, text, form, parts } = body;
  return { name, folder, shared_with: sharedWith, request: { ...rest, body: { kind, text, form, parts } } };
}

/// Saves a new one.
export function createSaved(body: Schema<'SavedRequestEdit'>): Promise<SavedRequest> {
  return call(api.POST('/api/v1/collections', { body }));
}

/// Replaces one, if it is still at `version`.
export function updateSaved(id: string, version: number, body: Schema<'SavedRequestEdit'>): Promise<SavedRequest> {
  const params = { path: { id }, header: { 'If-Match': `"${version}"` } };
  return call(api.PUT('/api/v1/collections/{id}', { params, body }));
}

export async function deleteSaved(id: string, version: number): Promise<void> {
  const params = { path: { id }, header: { 'If-Match': `"${version}"` } };
  await call(api.DELETE('/api/v1/collections/{id}', { params }));
}

export function readSaved(id: string): Promise<SavedRequest> {
  return call(api.GET('/api/v1/collections/{id}', { params: { path: { id } } }));
}

/// Saves what was read from files, privately, in its folders. How many.
export async function importRequests(found: Imported[]): Promise<number> {
  for (const { folders, name, draft } of found) {
    const folder = folders.map((part) => part.replaceAll('/', '∕')).join('/').slice(0, 120);
    // One after another: each is an entry in the audit log, and a hundred at once would only queue there.
    await createSaved(edit(plain(name).slice(0, 120), folder === '' ? '' : plain(folder), [], draft));
  }
  return found.length;
}

/// Without control characters, which names must not have.
function plain(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim() || 'unnamed';
}

export interface Folder {
  name: string;
  path: string;
  folders: Folder[];
  requests: SavedRequest[];
}

/// The tree of folders that the requests stand in, each level by name.
export function treeOf(requests: SavedRequest[]): Folder {
  const root: Folder = { name: '', path: '', folders: [], requests: [] };
  for (const request of requests) {
    let at = root;
    for (const name of request.folder.split('/').filter((part) => part !== '')) {
      let next = at.folders.find((folder) => folder.name === name);
      if (next === undefined) {
        next = { name, path: at.path === '' ? name : `${at.path}/${name}`, folders: [], requests: [] };
        at.folders.push(next);
      }
      at = next;
    }
    at.requests.push(request);
  }
  const sort = (folder: Folder) => {
    folder.folders.sort((a, b) => a.name.localeCompare(b.name));
    folder.requests.sort((a, b) => a.name.localeCompare(b.name));
    folder.folders.forEach(sort);
  };
  sort(root);
  return root;
}

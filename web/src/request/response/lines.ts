/// A long text as lines for a view that draws only those in sight. Pure; it runs in the worker.

/// Longer lines are broken: a browser takes seconds to lay out one of megabytes.
export const MAX_LINE = 1_000;

/// Where each line begins in the text; one more entry marks the end.
export function lineStarts(text: string): Uint32Array<ArrayBuffer> {
  let starts = new Uint32Array(1024);
  let count = 0;
  const push = (at: number) => {
    if (count === starts.length) {
      const larger = new Uint32Array(count * 2);
      larger.set(starts);
      starts = larger;
    }
    starts[count] = at;
    count += 1;
  };
  let at = 0;
  while (at < text.length || count === 0) {
    push(at);
    const newline = text.indexOf('\n', at);
    const end = newline < 0 ? text.length : newline + 1;
    at += MAX_LINE;
    while (at < end) {
      push(at);
      at += MAX_LINE;
    }
    at = end;
    if (text.length === 0) {
      break;
    }
  }
  push(text.length);
  return starts.slice(0, count);
}

/// Where a text stands in another, without regard to case; at most `most` places.
export function findAll(text: string, wanted: string, most: number): number[] {
  if (wanted === '') {
    return [];
  }
  const found: number[] = [];
  const pattern = new RegExp(wanted.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'giu');
  for (const match of text.matchAll(pattern)) {
    found.push(match.index);
    if (found.length === most) {
      break;
    }
  }
  return found;
}

/// The line that holds a place.
export function lineAt(starts: Uint32Array, place: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low + 1 < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) <= place) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

/// One row of a tree of JSON.
export interface Node {
  /// The way to it: indices among children.
  path: number[];
  key: string;
  kind: 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';
  /// The value, or what is inside.
  preview: string;
  children: number;
}

/// Children of a node, a part of them: arrays can be long.
export function childrenOf(root: unknown, path: number[], from: number, most: number): Node[] {
  let value = root;
  for (const index of path) {
    value = typeof value === 'object' && value !== null ? Object.values(value)[index] : undefined;
  }
  if (typeof value !== 'object' || value === null) {
    return [];
  }
  const keys = Object.keys(value).slice(from, from + most);
  return keys.map((key, offset) => nodeOf((value as Record<string, unknown>)[key], key, [...path, from + offset]));
}

export function nodeOf(value: unknown, key: string, path: number[]): Node {
  if (Array.isArray(value)) {
    return { path, key, kind: 'array', preview: `[ ${value.length} ]`, children: value.length };
  }
  if (typeof value === 'object' && value !== null) {
    const children = Object.keys(value).length;
    return { path, key, kind: 'object', preview: `{ ${children} }`, children };
  }
  const kind = value === null ? 'null' : (typeof value as 'string' | 'number' | 'boolean');
  const preview = JSON.stringify(value) ?? '';
  return { path, key, kind, preview: preview.length > 500 ? `${preview.slice(0, 500)}…` : preview, children: 0 };
}

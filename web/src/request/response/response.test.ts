import { expect, test } from 'vitest';
import { EventReader } from '../events';
import { findOdd } from './compare';
import { MAX_LINE, childrenOf, findAll, lineAt, lineStarts } from './lines';

test('lines join to the text again, and none is long', () => {
  for (const text of ['', 'a', 'a\n', '\n\nb\r\nc', 'x'.repeat(MAX_LINE * 3 + 1), `${'y'.repeat(MAX_LINE)}\nz`]) {
    const starts = [...lineStarts(text)];
    const lines = starts.slice(0, -1).map((start, index) => text.slice(start, starts[index + 1]));
    expect(lines.join('')).toBe(text);
    expect(Math.max(0, ...lines.map((line) => line.length))).toBeLessThanOrEqual(MAX_LINE + 1);
  }
});

test('ten megabytes of JSON are read and searched', () => {
  const rows = Array.from({ length: 100_000 }, (_, id) => ({ id, name: `company ${id}`, note: 'x'.repeat(60) }));
  const text = JSON.stringify(rows, null, 2);
  expect(text.length).toBeGreaterThan(10_000_000);
  const starts = lineStarts(text);
  expect(starts.length - 1).toBe(text.split('\n').length);
  const places = findAll(text, 'COMPANY 99999', 10);
  expect(places).toHaveLength(1);
  const line = lineAt(starts, places[0] ?? 0);
  expect(text.slice(starts[line], starts[line + 1])).toContain('company 99999');
  expect(childrenOf(rows, [], 99_999, 500)).toMatchObject([{ key: '99999', kind: 'object', children: 3 }]);
  expect(findAll('a.b(c', '.b(', 5)).toEqual([1]);
});

test('the odd one out is who differs where the others agree', () => {
  const answer = (instance: string, version: string) => ({ instance, status: 200, headers: {}, body: { instance, version }, duration_ms: 1, audit_id: null });
  const odd = findOdd([answer('a', '1'), answer('b', '2'), answer('c', '1')]);
  expect(odd.get('b')).toEqual([{ field: '$.version', value: '"2"', usual: '"1"' }]);
  expect([odd.get('a'), odd.get('c')]).toEqual([[], []]);
  expect(findOdd([answer('a', '1'), answer('b', '2')]).get('a')).toEqual([]);
});

test('events are the same however the bytes are cut', () => {
  const bytes = new TextEncoder().encode('id: 1\nevent: tick\ndata: ü\ndata: b\r\n\r\n: note\ndata:x\r\rdata: last');
  for (let size = 1; size <= bytes.length; size += 1) {
    const reader = new EventReader();
    const events = [];
    for (let at = 0; at < bytes.length; at += size) {
      events.push(...reader.read(bytes.subarray(at, at + size), 0));
    }
    expect(events).toEqual([
      { at: 0, id: '1', event: 'tick', data: 'ü\nb' },
      { at: 0, id: '1', event: 'message', data: 'x' },
    ]);
  }
});

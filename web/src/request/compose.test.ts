import { expect, test } from 'vitest';
import { Unsendable, compose } from './compose';
import { type Draft, draftFrom, emptyDraft, row, rowsFromText, rowsToText, withoutSecrets } from './draft';

const NONE = new Map<string, string>();
const draft = (part: Partial<Draft>): Draft => ({ ...emptyDraft(), region: 'eu', service: 'echo', ...part });

test('names go where they belong, encoded for the place', () => {
  const composed = compose(draft({ instance: 'echo-2', path: '/a b/%2e/ü', query: [row('q', 'a&b=c#+'), row('off', '1', false)] }), NONE);
  expect(composed.url).toBe('/r/eu/echo@echo-2/a%20b/%2e/%C3%BC?q=a%26b=c%23%2B'.replace('a%26b=c', 'a%26b%3Dc'));
  expect(compose(draft({ instance: 'any' }), NONE).url).toBe('/r/eu/echo/');
});

test('variables are put in everywhere, and a missing one stops the sending', () => {
  const values = new Map([['id', '7/8'], ['who', 'me']]);
  const composed = compose(draft({ method: 'POST', path: '/x/{{id}}', headers: [row('x', '{{who}}')], reason: '{{ who }}', body: { ...emptyDraft().body, kind: 'json', text: '{"w":"{{who}}"}' } }), values);
  expect(composed).toMatchObject({ target: '/x/7/8', body: '{"w":"me"}', reason: 'me' });
  expect(composed.headers).toEqual([['x', 'me'], ['Content-Type', 'application/json']]);
  expect(() => compose(draft({ path: '/{{nothing}}' }), values)).toThrow(/\{\{nothing\}\}/);
});

test('what a browser would drop or refuse is said beforehand', () => {
  expect(() => compose(emptyDraft(), NONE)).toThrow(Unsendable);
  expect(() => compose(draft({ headers: [row('bad name', 'x')] }), NONE)).toThrow(Unsendable);
  expect(() => compose(draft({ headers: [row('x', 'a\r\nb: c')] }), NONE)).toThrow(Unsendable);
  expect(() => compose(draft({ body: { ...emptyDraft().body, kind: 'text', text: 'x' } }), NONE)).toThrow(/GET/);
  expect(() => compose(draft({ method: 'POST', body: { ...emptyDraft().body, kind: 'file' } }), NONE)).toThrow(/file/);
});

test('storage gets no secrets and gives back whatever fits', () => {
  const kept = withoutSecrets(draft({ headers: [row('Authorization', 'Bearer x'), row('X-Api-Key', 'k'), row('accept', '*/*')] }));
  expect(JSON.stringify(kept)).not.toMatch(/Bearer|"k"/);
  expect(kept.headers[2]?.value).toBe('*/*');
  expect(draftFrom(JSON.parse(JSON.stringify(kept)))).toEqual(kept);
  for (const odd of [null, 1, 'x', [], { query: 'x', body: [], method: 5, headers: [null, 1, { name: 2 }] }]) {
    expect(() => compose({ ...draftFrom(odd), region: 'eu', service: 'echo' }, NONE)).not.toThrow();
  }
});

test('rows and their text are the same thing', () => {
  const rows = [row('a', 'b: c'), row('off', '', false), row('d', 'e=f')];
  expect(rowsFromText(rowsToText(rows))).toEqual(rows);
  expect(rowsFromText('a=b\nc\td')).toEqual([row('a', 'b'), row('c', 'd')]);
});

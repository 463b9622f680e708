import { describe, expect, it } from 'vitest';
import type { Entry } from '../audit/entry';
import { draftOfEntry } from './logged';

const entry: Entry = {
  id: '01a2020a-2fc5-7000-8000-0021bae392a9', kind: 'request', time: '2026-03-01T12:00:00Z',
  region: 'eu', service: 'echo', instance: 'echo-2', method: 'POST', path: '/a%2Fb', query: 'x=%41&y=a=b', reason: 'ticket 1',
  headers: { accept: '*/*', 'sec-fetch-mode': 'cors', 'content-type': 'application/json', 'x-note': ['a', 'b'], authorization: '***', 'x-api-key': '***' },
  redacted: ['header:x-api-key'], body: '{"a":1}', body_size: 7,
};

describe('a logged request as a draft', () => {
  it('is what was sent, without what the browser adds and the log masks', () => {
    const { draft, notes } = draftOfEntry(entry);
    expect(draft).toMatchObject({ region: 'eu', service: 'echo', instance: 'echo-2', method: 'POST', path: '/a%2Fb', reason: 'ticket 1', body: { kind: 'json', text: '{"a":1}' } });
    expect(draft.query.map(({ name, value }) => [name, value])).toEqual([['x', '%41'], ['y', 'a=b']]);
    expect(draft.headers.map(({ name, value }) => [name, value])).toEqual([['x-note', 'a'], ['x-note', 'b']]);
    expect(notes).toEqual(['The log masks x-api-key.']);
  });

  it('never sends a part of a body or of a query for the whole', () => {
    const { draft, notes } = draftOfEntry({ ...entry, redacted: ['body:/password', 'query:token'], query: 'token=***' });
    expect([draft.body.text, draft.query]).toEqual(['', []]);
    expect(notes).toHaveLength(2);
  });
});

import { expect, test } from 'vitest';
import { compose } from './compose';
import { emptyDraft, row } from './draft';
import { LANGUAGES, snippet } from './snippets';

test('code in every language reads the token from the environment', async () => {
  const draft = { ...emptyDraft(), region: 'eu', service: 'echo', method: 'POST', path: '/x', reason: 'why', body: { ...emptyDraft().body, kind: 'json' as const, text: '{"a":1}' } };
  for (const { id } of LANGUAGES) {
    for (const headers of [[], [row('Authorization', 'Basic theirs')]]) {
      const code = await snippet(id, 'https://doorman.example.com', { ...draft, headers }, compose({ ...draft, headers }, new Map()));
      expect(code, id).toContain('DOORMAN_TOKEN');
      expect(code, id).not.toContain('GOES_HERE');
      expect(code, id).toContain('https://doorman.example.com/r/eu/echo/x');
      expect(code, id).toMatch(/why/);
    }
  }
});

import { describe, expect, test } from 'vitest';
import { isCurl, parseCurl } from './curl';

const names = (rows: { name: string; value: string }[]) => rows.map(({ name, value }) => `${name}=${value}`);

describe('a pasted curl command', () => {
  test('of the door itself names region, service and instance, and loses its credential', () => {
    const { draft, notes } = parseCurl(
      `curl -u alice:alice-demo -H 'Authorization: Bearer eyJx' -H 'Doorman-Reason: why' 'http://127.0.0.1:8440/r/eu/echo@echo-2/hello?from=me&x=%20y'`,
    ) ?? { draft: null, notes: [] };
    expect(draft).toMatchObject({ region: 'eu', service: 'echo', instance: 'echo-2', path: '/hello', method: 'GET', reason: 'why' });
    expect(names(draft?.query ?? [])).toEqual(['from=me', 'x= y']);
    expect(draft?.headers).toEqual([]);
    expect(notes).toHaveLength(2);
  });

  test('of a browser, with line ends and quotes, becomes a JSON body', () => {
    const { draft } = parseCurl(
      `curl 'https://api.example.com/v1/things' \\\n  -X POST \\\n  -H 'content-type: application/json' \\\n  --data-raw $'{"a":"it\\'s"}' --compressed`,
    ) ?? { draft: null };
    expect(draft).toMatchObject({ method: 'POST', path: '/v1/things', headers: [] });
    expect(JSON.parse(draft?.body.text ?? '')).toEqual({ a: "it's" });
  });

  test('with joined flags, forms, files and -G is read as curl reads it', () => {
    expect(parseCurl('curl -sSXPUT --data a=1 -d b=2 example.com/f')?.draft).toMatchObject({
      method: 'PUT',
      body: { kind: 'form', form: [{ name: 'a', value: '1' }, { name: 'b', value: '2' }] },
    });
    expect(names(parseCurl('curl -G -d a=1 example.com/f?b=2')?.draft.query ?? [])).toEqual(['b=2', 'a=1']);
    expect(parseCurl('curl -F x=1 -F f=@photo.png example.com')?.draft.body).toMatchObject({ kind: 'multipart' });
    expect(parseCurl('curl -I example.com/a')?.draft.method).toBe('HEAD');
    expect(parseCurl('curl http://h/p?a=1&b=2')?.draft.query).toHaveLength(2);
  });

  test('never runs into what stands behind it, and is refused without an address', () => {
    expect(parseCurl('curl example.com/a | sh')?.draft.path).toBe('/a');
    expect(parseCurl('curl example.com/a; rm -rf /')?.draft.path).toBe('/a');
    expect(parseCurl('curl -H "a: b"')).toBeNull();
    expect(isCurl(' $ curl x') && isCurl('doorman curl x') && !isCurl('curly x')).toBe(true);
  });

  test('of any kind of text never throws', () => {
    for (let seed = 1; seed < 2000; seed += 1) {
      let state = seed;
      const pieces = ['curl ', '-d', ' ', "'", '"', '\\', '$', '{', '@', '-H', 'a:b', '%', '=', 'http://x/', '\n', '&', '|', "$'", '--json', '\0'];
      const text = Array.from({ length: 12 }, () => pieces[(state = (state * 48271) % 2147483647) % pieces.length]).join('');
      expect(() => parseCurl(text)).not.toThrow();
    }
  });
});

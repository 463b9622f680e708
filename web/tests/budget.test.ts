/// What a browser must load before the first page shows stays within 300 KiB of compressed script.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';

const dist = new URL('../dist/', import.meta.url);

test('the initial script is at most 300 KiB gzip', () => {
  const index = readFileSync(new URL('index.html', dist), 'utf8');
  const scripts = [...index.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map(([, path]) => path ?? '');
  expect(scripts).not.toEqual([]);
  const sizes = scripts.map((path) => gzipSync(readFileSync(new URL(path, dist)), { level: 9 }).length);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(300 * 1024);
});

import { describe, expect, it } from 'vitest';
import { hopsOf, serverTiming } from './timing';

describe('the times of each hop', () => {
  it('add up to the whole', () => {
    const entry = { outcome: { duration_ms: 70 } };
    const hops = hopsOf({ totalMs: 100, tokenMs: 10, entry, timing: 'door;dur=2, log;dur=3.5, region;dur=60' });
    expect(Object.fromEntries(hops.map(({ name, ms }) => [name, ms]))).toEqual({
      Token: 10, 'Browser and network': 20, Door: 2, Log: 3.5, Region: 60, 'Rest of the answer': 4.5,
    });
    expect(hops.reduce((sum, { ms }) => sum + (ms ?? 0), 0)).toBe(100);
  });

  it('are not made up where nobody knows them', () => {
    const hops = hopsOf({ totalMs: 100, tokenMs: 0, entry: undefined, timing: undefined });
    expect(hops.map(({ ms }) => ms)).toEqual([null, null, null, null, null]);
  });
});

describe('Server-Timing', () => {
  it('is read where it tells a duration', () => {
    expect(serverTiming('db;dur=53.2, cache;desc="a, b";dur="2", miss, total;dur=x')).toEqual([{ name: 'db', ms: 53.2 }, { name: 'cache', ms: 2 }]);
    expect(serverTiming(undefined)).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { hopsOf, serverTiming } from './timing';

/// An audit id of a time: a UUIDv7.
const idAt = (ms: number) => `${ms.toString(16).padStart(12, '0').replace(/(.{8})/, '$1-')}-7000-8000-000000000001`;
const ARRIVED = Date.parse('2026-03-01T12:00:00.000Z');

describe('the times of each hop', () => {
  it('add up to the whole', () => {
    const entry = { id: idAt(ARRIVED + 5), time: '2026-03-01T12:00:00.000Z', outcome: { duration_ms: 70 } };
    const hops = hopsOf({ totalMs: 100, tokenMs: 10, entry });
    expect(Object.fromEntries(hops.map(({ name, ms }) => [name, ms]))).toEqual({
      Token: 10, 'Browser and network': 20, Door: 5, 'Log, proxy and service': 65,
    });
    expect(hops.reduce((sum, { ms }) => sum + (ms ?? 0), 0)).toBe(100);
  });

  it('are not made up where nobody knows them', () => {
    const hops = hopsOf({ totalMs: 100, tokenMs: 0, entry: undefined });
    expect(hops.map(({ ms }) => ms)).toEqual([null, null, null]);
  });
});

describe('Server-Timing', () => {
  it('is read where it tells a duration', () => {
    expect(serverTiming('db;dur=53.2, cache;desc="a, b";dur="2", miss, total;dur=x')).toEqual([{ name: 'db', ms: 53.2 }, { name: 'cache', ms: 2 }]);
    expect(serverTiming(undefined)).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { describeFilter, FILTERS, readFilters, toQuery, writeFilters } from './filters';

describe('filters in the address bar', () => {
  it('come back as they were written, whatever characters they hold', () => {
    const hostile = 'a&b=c#d%20+ ‮"<script>';
    const filters = Object.fromEntries(FILTERS.map((name) => [name, `${name} ${hostile}`]));
    const text = writeFilters(new URLSearchParams(), filters).toString();
    expect(readFilters(new URLSearchParams(text))).toEqual(filters);
  });

  it('leave what is not theirs', () => {
    const next = writeFilters(new URLSearchParams('entry=7&q=old'), { status: '5xx' });
    expect(next.toString()).toBe('entry=7&status=5xx');
  });

  it('empty ones are not there', () => {
    expect(writeFilters(new URLSearchParams(), { q: '  ', actor: '' }).toString()).toBe('');
    expect(readFilters(new URLSearchParams('q=&unknown=1'))).toEqual({});
  });

  it('count spans back from now', () => {
    const now = Date.parse('2026-03-01T12:00:00.000Z');
    expect(toQuery({ from: '-15m' }, now).from).toBe('2026-03-01T11:45:00.000Z');
    expect(toQuery({ from: '-7d', q: 'x' }, now)).toEqual({ from: '2026-02-22T12:00:00.000Z', q: 'x' });
    expect(toQuery({ from: '2026-01-01T00:00:00Z' }, now).from).toBe('2026-01-01T00:00:00Z');
    expect(describeFilter('from', '-1h')).toBe('Last hour');
    expect(describeFilter('status', '5xx')).toBe('Status: 5xx');
  });
});

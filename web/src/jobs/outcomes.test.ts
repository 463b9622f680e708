import { describe, expect, it } from 'vitest';
import { addSample, groupCauses, type Sample, samplesOfItems, timeOfId } from './outcomes';

describe('outcomes over time', () => {
  it('keep the shape and stay small however long a run lasts', () => {
    let samples: Sample[] = [];
    for (let at = 1; at <= 10_000; at++) samples = addSample(samples, at, { done: at });
    expect(samples.length).toBeLessThanOrEqual(240);
    expect(samples.at(-1)).toEqual({ at: 10_000, done: 10_000, failed: 0, unknown: 0 });
    expect(samples.every((sample) => sample.done === sample.at)).toBe(true);
  });

  it('make one span of a pause', () => {
    let samples: Sample[] = [];
    for (let at = 1; at <= 100; at++) samples = addSample(samples, at, { done: 5 });
    expect(samples.map((sample) => sample.at)).toEqual([1, 100]);
  });

  it('are told by the audit ids when nobody watched', () => {
    const id = (ms: number) => {
      const hex = ms.toString(16).padStart(12, '0');
      return `${hex.slice(0, 8)}-${hex.slice(8)}-7cc3-98c4-dc0c0c07398f`;
    };
    expect(timeOfId(id(1_767_225_600_123))).toBe(1_767_225_600_123);
    const items = [
      { state: 'failed', audit_id: id(3_000) },
      { state: 'done', audit_id: id(2_000) },
      { state: 'pending', audit_id: null },
    ];
    expect(samplesOfItems(items, 1_000)).toEqual([
      { at: 1_000, done: 0, failed: 0, unknown: 0 },
      { at: 2_000, done: 1, failed: 0, unknown: 0 },
      { at: 3_000, done: 1, failed: 1, unknown: 0 },
    ]);
  });
});

describe('failures', () => {
  it('are grouped by cause, the most frequent first', () => {
    const items = [
      { index: 1, state: 'failed', status: 500 },
      { index: 2, state: 'failed', status: 409, error: null },
      { index: 3, state: 'failed', status: 409 },
      { index: 4, state: 'unknown', status: null, error: 'timeout' },
    ];
    expect(groupCauses(items).map((cause) => [cause.status, cause.count, cause.example])).toEqual([
      [409, 2, 2],
      [500, 1, 1],
      [null, 1, 4],
    ]);
  });
});

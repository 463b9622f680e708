import { describe, expect, it } from 'vitest';
import { planErrors, planFromWire, planToWire, PRESETS, waveSizes } from './plan';

const careful = PRESETS[0]!.plan();

describe('a plan', () => {
  it('shares the rows among its waves', () => {
    expect(waveSizes(careful.waves, 100)).toEqual([5, 20, 75]);
    expect(waveSizes(careful.waves, 3)).toEqual([3, 0, 0]);
    expect(waveSizes(careful.waves, 0)).toEqual([0, 0, 0]);
  });

  it('is good as it is offered', () => {
    for (const preset of PRESETS) expect(planErrors(preset.plan(), 100)).toEqual({});
  });

  it('says what is wrong with it', () => {
    const waves = [
      { ...careful.waves[0]!, unit: 'percent' as const, size: 50, gate: 'auto' as const, bake: 'soon' },
      { ...careful.waves[1]!, size: 60 },
    ];
    const errors = planErrors({ ...careful, waves, timeout: 'x', stopRate: 5, successStatus: 'ok' }, 10);
    expect(Object.keys(errors).sort()).toEqual(['stopWindow', 'successStatus', 'timeout', 'waves', 'waves.0.bake']);
  });

  it('goes to the server and comes back', () => {
    const plan = { ...careful, stopRate: 5, stopWindow: 200, retries: 2, idempotent: true };
    const wire = planToWire(plan);
    expect(wire.stop_when).toEqual({ failures: 10, failure_rate: 0.05, window: 200 });
    expect(wire.waves).toEqual([{ count: 5, gate: 'manual' }, { percent: 25, gate: 'manual' }, { percent: 100 }]);
    expect(planToWire(planFromWire(wire))).toEqual(wire);
  });
});

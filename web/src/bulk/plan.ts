/// How a run is rolled out: in waves, with gates between them, at a pace, until something says stop.

import type { PlanSpec, WaveSpec } from '../jobs/wire';

/// A wave as the form has it.
export type Wave = {
  key: number;
  unit: 'count' | 'percent';
  size: number;
  gate: 'auto' | 'manual' | 'approval';
  /// How long an automatic gate waits: `30s`, `5m`.
  bake: string;
};

/// The plan as the form has it. Empty texts and numbers mean: not said.
export type Plan = {
  waves: Wave[];
  concurrency: number | '';
  ratePerSecond: number | '';
  timeout: string;
  stopFailures: number | '';
  stopRate: number | '';
  stopWindow: number | '';
  successStatus: string;
  idempotent: boolean;
  retries: number | '';
};

let nextKey = 1;

/// A key for a list of fields.
export function freshKey(): number {
  return nextKey++;
}

function wave(unit: Wave['unit'], size: number, gate: Wave['gate'], bake = '30s'): Wave {
  return { key: freshKey(), unit, size, gate, bake };
}

const PACE = {
  concurrency: 4,
  ratePerSecond: 20,
  timeout: '30s',
  stopFailures: 10,
  stopRate: '',
  stopWindow: '',
  successStatus: '2xx',
  idempotent: false,
  retries: '',
} as const;

/// What the page offers to begin with.
export const PRESETS: { id: string; label: string; text: string; plan: () => Plan }[] = [
  {
    id: 'careful',
    label: 'Careful',
    text: 'A few first, then a quarter; you look and open each gate.',
    plan: () => ({
      ...PACE,
      waves: [wave('count', 5, 'manual'), wave('percent', 25, 'manual'), wave('percent', 100, 'auto')],
    }),
  },
  {
    id: 'canary',
    label: 'Canary',
    text: 'A tenth first; the rest follows by itself after half a minute, unless too much fails.',
    plan: () => ({ ...PACE, waves: [wave('percent', 10, 'auto'), wave('percent', 100, 'auto')] }),
  },
  {
    id: 'plain',
    label: 'All at once',
    text: 'One wave. For requests that only read.',
    plan: () => ({ ...PACE, waves: [wave('percent', 100, 'auto')], ratePerSecond: 50, concurrency: 8 }),
  },
];

/// How many rows each wave sends; sizes by percent count from the start of the run, as design §14 has them.
export function waveSizes(waves: Wave[], rows: number): number[] {
  let sent = 0;
  return waves.map((wave) => {
    const upTo = wave.unit === 'count' ? sent + wave.size : Math.ceil((rows * wave.size) / 100);
    const next = Math.max(sent, Math.min(rows, upTo));
    const size = next - sent;
    sent = next;
    return size;
  });
}

const DURATION = /^\d+(ms|s|m|h|d)$/;

/// What is wrong with a plan, by field.
export function planErrors(plan: Plan, rows: number): Partial<Record<string, string>> {
  const errors: Partial<Record<string, string>> = {};
  const sizes = waveSizes(plan.waves, rows);
  plan.waves.forEach((wave, index) => {
    if (!(wave.size > 0) || (wave.unit === 'percent' && wave.size > 100)) {
      errors[`waves.${index}.size`] = wave.unit === 'percent' ? '1 to 100' : 'At least 1';
    } else if (rows > 0 && sizes[index] === 0) {
      errors[`waves.${index}.size`] = 'Nothing is left for this wave';
    }
    const isLast = index === plan.waves.length - 1;
    if (!isLast && wave.gate === 'auto' && wave.bake !== '' && !DURATION.test(wave.bake)) {
      errors[`waves.${index}.bake`] = 'Such as 30s, 5m, 1h';
    }
  });
  const left = rows - sizes.reduce((sum, size) => sum + size, 0);
  if (rows > 0 && left > 0) errors.waves = `${left} rows are in no wave. Let the last wave be 100 %.`;
  if (plan.timeout && !DURATION.test(plan.timeout)) errors.timeout = 'Such as 30s, 5m';
  if (plan.stopRate !== '' && plan.stopWindow === '') errors.stopWindow = 'Of how many of the last requests?';
  if (plan.successStatus && !statusList(plan.successStatus).every((status) => /^([1-5]xx|[1-5]\d\d)$/.test(status))) {
    errors.successStatus = 'Such as 2xx, 404';
  }
  return errors;
}

function statusList(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
}

/// The plan as the server takes it; what is not said is left out.
/// What the form does not show of a saved plan (regions, a rule for the body, waits between tries) stays as it was.
export function planToWire(plan: Plan, saved?: PlanSpec): PlanSpec {
  const waves = plan.waves.map((wave, index): WaveSpec => {
    const size = wave.unit === 'count' ? { count: wave.size } : { percent: wave.size };
    if (index === plan.waves.length - 1) return size;
    return wave.gate !== 'auto'
      ? { ...size, gate: wave.gate }
      : { ...size, gate: 'auto', ...(wave.bake && { bake: wave.bake }) };
  });
  const stop = {
    ...(plan.stopFailures !== '' && { failures: plan.stopFailures }),
    ...(plan.stopRate !== '' && { failure_rate: plan.stopRate / 100 }),
    ...(plan.stopRate !== '' && plan.stopWindow !== '' && { window: plan.stopWindow }),
  };
  const statuses = statusList(plan.successStatus);
  return {
    ...(waves.length > 0 && { waves }),
    ...(plan.concurrency !== '' && { concurrency: plan.concurrency }),
    ...(plan.ratePerSecond !== '' && { rate_per_second: plan.ratePerSecond }),
    ...(plan.timeout && { timeout: plan.timeout }),
    ...(Object.keys(stop).length > 0 && { stop_when: stop }),
    ...((statuses.length > 0 || saved?.success?.body) && {
      success: { ...(statuses.length > 0 && { status: statuses }), ...(saved?.success?.body && { body: saved.success.body }) },
    }),
    ...(plan.idempotent && { idempotent: true }),
    ...(plan.retries !== '' && plan.retries > 0 && { retries: { ...saved?.retries, max: plan.retries } }),
    ...(saved?.regions && { regions: saved.regions }),
  };
}

/// A saved plan in the form.
export function planFromWire(wire: PlanSpec | undefined): Plan {
  const stop = wire?.stop_when;
  return {
    waves: (wire?.waves ?? []).map((saved) => ({
      key: freshKey(),
      unit: saved.count !== undefined ? 'count' : 'percent',
      size: saved.count ?? saved.percent ?? 100,
      gate: saved.gate ?? 'auto',
      bake: saved.bake ?? '',
    })),
    concurrency: wire?.concurrency ?? '',
    ratePerSecond: wire?.rate_per_second ?? '',
    timeout: wire?.timeout ?? '',
    stopFailures: stop?.failures ?? '',
    stopRate: stop?.failure_rate === undefined ? '' : Number((stop.failure_rate * 100).toFixed(4)),
    stopWindow: stop?.window ?? '',
    successStatus: (wire?.success?.status ?? []).join(', '),
    idempotent: wire?.idempotent ?? false,
    retries: wire?.retries?.max ?? '',
  };
}

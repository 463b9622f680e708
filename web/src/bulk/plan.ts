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

/// What must stand in an answer's body: a JSON pointer, and a value or a condition such as `{"gte": 1}`.
export type BodyRule = { key: number; pointer: string; value: string };

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
  successBody: BodyRule[];
  idempotent: boolean;
  retries: number | '';
  backoff: string;
  maxBackoff: string;
  /// What differs in a region, where a run goes to several; what is not said there is as above.
  regions: Record<string, Plan>;
};

/// A plan that says nothing.
export const NOTHING_SAID: Plan = {
  waves: [], concurrency: '', ratePerSecond: '', timeout: '', stopFailures: '', stopRate: '', stopWindow: '',
  successStatus: '', successBody: [], idempotent: false, retries: '', backoff: '', maxBackoff: '', regions: {},
};

let nextKey = 1;

/// A key for a list of fields.
export function freshKey(): number {
  return nextKey++;
}

function wave(unit: Wave['unit'], size: number, gate: Wave['gate'], bake = '30s'): Wave {
  return { key: freshKey(), unit, size, gate, bake };
}

const PACE: Omit<Plan, 'waves'> = { ...NOTHING_SAID, concurrency: 4, ratePerSecond: 20, timeout: '30s', stopFailures: 10, successStatus: '2xx' };

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

/// Whether a plan is as a preset has it.
export function isPreset(plan: Plan, preset: (typeof PRESETS)[number]): boolean {
  return JSON.stringify(planToWire(plan)) === JSON.stringify(planToWire(preset.plan()));
}

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
  if (plan.waves.length > 0 && rows > 0 && left > 0) errors.waves = `${left} rows are in no wave. Let the last wave be 100 %.`;
  for (const field of ['timeout', 'backoff', 'maxBackoff'] as const) {
    if (plan[field] && !DURATION.test(plan[field])) errors[field] = 'Such as 30s, 5m';
  }
  plan.successBody.forEach(({ pointer }, index) => {
    if (pointer !== '' && !pointer.startsWith('/')) errors[`successBody.${index}`] = 'Begins with /, such as /status';
  });
  for (const [region, there] of Object.entries(plan.regions)) {
    for (const [field, error] of Object.entries(planErrors(there, rows))) errors[`${region}.${field}`] = error;
  }
  if (plan.stopRate !== '' && plan.stopWindow === '') errors.stopWindow = 'Of how many of the last requests?';
  if (plan.successStatus && !statusList(plan.successStatus).every((status) => /^([1-5]xx|[1-5]\d\d(-[1-5]\d\d)?)$/.test(status))) {
    errors.successStatus = 'Such as 2xx, 409, 200-204';
  }
  return errors;
}

function statusList(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
}

/// JSON, or else the text itself: people write `done` and mean `"done"`.
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/// The opposite: text that JSON would read as something else stands in quotes.
function textOf(value: unknown): string {
  return typeof value === 'string' && valueOf(value) === value ? value : JSON.stringify(value);
}

/// The plan as the server takes it; what is not said is left out.
export function planToWire(plan: Plan): PlanSpec {
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
  const body = plan.successBody.filter(({ pointer }) => pointer !== '').map(({ pointer, value }) => [pointer, valueOf(value)] as const);
  const regions = Object.entries(plan.regions).map(([region, there]) => [region, planToWire(there)] as const);
  return {
    ...(waves.length > 0 && { waves }),
    ...(plan.concurrency !== '' && { concurrency: plan.concurrency }),
    ...(plan.ratePerSecond !== '' && { rate_per_second: plan.ratePerSecond }),
    ...(plan.timeout && { timeout: plan.timeout }),
    ...(Object.keys(stop).length > 0 && { stop_when: stop }),
    ...((statuses.length > 0 || body.length > 0) && {
      success: { ...(statuses.length > 0 && { status: statuses }), ...(body.length > 0 && { body: Object.fromEntries(body) }) },
    }),
    ...(plan.idempotent && { idempotent: true }),
    ...(plan.retries !== '' && plan.retries > 0 && {
      retries: { max: plan.retries, ...(plan.backoff && { backoff: plan.backoff }), ...(plan.maxBackoff && { max_backoff: plan.maxBackoff }) },
    }),
    ...(regions.length > 0 && { regions: Object.fromEntries(regions) }),
  };
}

/// A saved plan in the form.
export function planFromWire(wire: PlanSpec | undefined): Plan {
  const stop = wire?.stop_when;
  return {
    waves: (wire?.waves ?? []).map((saved) => ({
      key: freshKey(),
      unit: saved.count != null ? 'count' : 'percent',
      size: saved.count ?? saved.percent ?? 100,
      gate: saved.gate ?? 'auto',
      bake: saved.bake ?? '',
    })),
    concurrency: wire?.concurrency ?? '',
    ratePerSecond: wire?.rate_per_second ?? '',
    timeout: wire?.timeout ?? '',
    stopFailures: stop?.failures ?? '',
    stopRate: stop?.failure_rate == null ? '' : Number((stop.failure_rate * 100).toFixed(4)),
    stopWindow: stop?.window ?? '',
    successStatus: (wire?.success?.status ?? []).join(', '),
    successBody: Object.entries(wire?.success?.body ?? {}).map(([pointer, value]) => ({ key: freshKey(), pointer, value: textOf(value) })),
    idempotent: wire?.idempotent ?? false,
    retries: wire?.retries?.max || '',
    backoff: wire?.retries?.backoff ?? '',
    maxBackoff: wire?.retries?.max_backoff ?? '',
    regions: Object.fromEntries(Object.entries(wire?.regions ?? {}).map(([region, there]) => [region, planFromWire(there)])),
  };
}

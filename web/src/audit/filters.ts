/// The filters of the audit log and the address bar: one is the other, so that a search can be sent to a colleague.

/// The filters that `GET /api/v1/audit` knows, in the order in which they are shown.
export const FILTERS = [
  'q',
  'kind',
  'outcome',
  'status',
  'subject',
  'actor',
  'region',
  'service',
  'instance',
  'method',
  'path',
  'run',
  'from',
  'to',
] as const;

export type FilterName = (typeof FILTERS)[number];

/// What is asked for. `from` and `to` are RFC 3339, or, for `from`, a span back from now such as `-1h`.
export type Filters = Partial<Record<FilterName, string>>;

export const LABELS: Record<FilterName, string> = {
  q: 'Text',
  kind: 'Kind',
  outcome: 'Outcome',
  status: 'Status',
  subject: 'On behalf of',
  actor: 'Sent by',
  region: 'Region',
  service: 'Service',
  instance: 'Instance',
  method: 'Method',
  path: 'Path begins with',
  run: 'Run',
  from: 'From',
  to: 'To',
};

/// Spans that the list of times offers.
export const SPANS: { value: string; label: string }[] = [
  { value: '-15m', label: 'Last 15 minutes' },
  { value: '-1h', label: 'Last hour' },
  { value: '-24h', label: 'Last 24 hours' },
  { value: '-7d', label: 'Last 7 days' },
  { value: '-30d', label: 'Last 30 days' },
];

const SPAN = /^-(\d{1,4})([mhd])$/;
const UNIT_MS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/// Reads the filters from the address bar; whatever else stands there is left alone.
export function readFilters(params: URLSearchParams): Filters {
  const filters: Filters = {};
  for (const name of FILTERS) {
    const value = params.get(name);
    if (value) filters[name] = value;
  }
  return filters;
}

/// The address bar with these filters in place of those that were there.
export function writeFilters(params: URLSearchParams, filters: Filters): URLSearchParams {
  const next = new URLSearchParams(params);
  for (const name of FILTERS) {
    const value = filters[name]?.trim();
    if (value) next.set(name, value);
    else next.delete(name);
  }
  return next;
}

/// The filters as the API takes them: spans become times, counted back from `now`.
export function toQuery(filters: Filters, now: number): Filters {
  const span = SPAN.exec(filters.from ?? '');
  if (!span) return filters;
  const back = Number(span[1]) * (UNIT_MS[span[2] ?? ''] ?? 0);
  return { ...filters, from: new Date(now - back).toISOString() };
}

/// A filter as a person reads it.
export function describeFilter(name: FilterName, value: string): string {
  const span = name === 'from' && SPANS.find((known) => known.value === value);
  return span ? span.label : `${LABELS[name]}: ${value}`;
}

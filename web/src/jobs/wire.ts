/// Jobs, runs and items as the server tells them, and the calls about them.
import { problemFrom } from '../client/problem';
import { doorToken } from '../session/doorToken';
import type { Counts } from './outcomes';

export type Row = Record<string, string | number | boolean | null>;

export interface RequestSpec {
  region?: string;
  regions?: string[];
  service: string;
  instance?: string;
  method: string;
  path: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: unknown;
  reason?: string;
}

export interface WaveSpec {
  count?: number;
  percent?: number;
  gate?: 'auto' | 'manual' | 'approval';
  bake?: string;
}

export interface PlanSpec {
  waves?: WaveSpec[];
  concurrency?: number;
  rate_per_second?: number;
  timeout?: string;
  stop_when?: { failures?: number; failure_rate?: number; window?: number };
  success?: { status?: string[]; body?: Record<string, unknown> };
  idempotent?: boolean;
  retries?: { max: number; backoff?: string; max_backoff?: string };
  regions?: Record<string, PlanSpec>;
}

export interface InputSpec {
  rows?: Row[];
  csv?: string;
  jsonl?: string;
  columns?: string[];
  key?: string;
  duplicates?: 'refuse' | 'skip' | 'allow';
}

export interface ScheduleSpec {
  cron: string;
  time_zone?: string;
  missed?: 'skip' | 'run_once';
  overlap?: 'skip' | 'queue';
  run_as?: string;
  paused?: boolean;
}

export interface JobSpec {
  name: string;
  folder: string;
  description?: string;
  request: RequestSpec;
  input?: InputSpec;
  plan: PlanSpec;
  schedule?: ScheduleSpec;
}

export interface Job extends JobSpec {
  id: string;
  version: number;
  created_at: string;
  created_by: string;
  updated_at: string;
  updated_by: string;
  uploaded: { columns: string[]; rows: number; duplicates: number; bytes: number; sha256: string } | null;
  next_run_at: string | null;
}

export interface JobEdit {
  version: number;
  at: string;
  by: string;
  action: string;
  spec: JobSpec;
}

export type RunState = 'queued' | 'running' | 'paused' | 'waiting' | 'stopped' | 'cancelled' | 'done';

export interface Run {
  id: string;
  job: string;
  name?: string;
  state: RunState;
  why?: string | null;
  dry_run?: boolean;
  counts: Counts;
  wave: number;
  waves?: number;
  gate_opens_at?: string | null;
  started_by: string;
  reason?: string | null;
  started_at: string | null;
  ended_at: string | null;
  rate: number | null;
  eta: string | null;
  errors?: { error: string; count: number }[];
}

export interface Item {
  index: number;
  input: Row;
  state: string;
  status: number | null;
  audit_id: string | null;
  error: string | null;
  attempts: number;
  region?: string;
  instance?: string;
}

export interface Preview {
  requests: {
    line: number;
    region: string;
    service: string;
    instance: string;
    method: string;
    path: string;
    query: string | null;
    headers: [string, string][];
    body: string | null;
    error: string | null;
  }[];
  total: number;
  unused_columns: string[];
  next_runs: string[];
}

export interface List<T> {
  items: T[];
  next_cursor: string | null;
}

/// Calls the control API with the cookie. Throws a `Problem`.
async function send<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
  const response = await fetch(path, {
    method,
    credentials: 'same-origin',
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return read(response);
}

async function read<T>(response: Response): Promise<T> {
  const answer: unknown = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw problemFrom(response.status, answer);
  return answer as T;
}

function query(params: Record<string, string | number | undefined>): string {
  const known = Object.entries(params).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, String(value)]]));
  return known.length > 0 ? `?${new URLSearchParams(known)}` : '';
}

const job = (id: string) => `/api/v1/jobs/${encodeURIComponent(id)}`;
const run = (id: string) => `/api/v1/runs/${encodeURIComponent(id)}`;

export const jobs = {
  list: (params: { folder?: string; q?: string; limit?: number; cursor?: string }) => send<List<Job>>('GET', `/api/v1/jobs${query(params)}`),
  get: (id: string) => send<Job>('GET', job(id)),
  create: (spec: JobSpec) => send<Job>('POST', '/api/v1/jobs', spec),
  save: (id: string, version: number, spec: JobSpec) => send<Job>('PUT', job(id), spec, { 'if-match': `"${version}"` }),
  remove: (id: string, version: number) => send<null>('DELETE', job(id), undefined, { 'if-match': `"${version}"` }),
  history: (id: string) => send<List<JobEdit>>('GET', `${job(id)}/history`),
  preview: (id: string) => send<Preview>('GET', `${job(id)}/preview`),
  start: (id: string, ask: { dry_run: boolean; reason?: string }) => send<Run>('POST', `${job(id)}/runs`, ask),
  bulk: (ask: { job: JobSpec; dry_run: boolean; reason?: string }) => send<Run>('POST', '/api/v1/bulk', ask),
  /// A file too large to be read here. It goes with the short-lived token: with the cookie only JSON is taken.
  upload: async (id: string, file: Blob, type: string) =>
    read<unknown>(
      await fetch(`${job(id)}/input${query({ duplicates: 'skip' })}`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${await doorToken()}`, 'content-type': type },
        credentials: 'omit',
        body: file,
      }),
    ),
};

export const runs = {
  list: (params: { job?: string; state?: string; limit?: number; cursor?: string }) => send<List<Run>>('GET', `/api/v1/runs${query(params)}`),
  get: (id: string) => send<Run>('GET', run(id)),
  items: (id: string, params: { state?: string; limit?: number; cursor?: string }) => send<List<Item>>('GET', `${run(id)}/items${query(params)}`),
  control: (id: string, what: 'pause' | 'resume' | 'cancel' | 'advance') => send<Run>('POST', `${run(id)}/${what}`),
  retryFailed: (id: string, withUnknown: boolean) => send<Run>('POST', `${run(id)}/retry-failed`, { with_unknown: withUnknown }),
  events: (id: string) => `${run(id)}/events`,
  results: (id: string, format: 'csv' | 'jsonl') => `${run(id)}/results?format=${format}`,
};

/// Whether nothing more happens by itself.
export function isOver(state: RunState): boolean {
  return state === 'done' || state === 'cancelled';
}

/// Whether its counts stay as they are: after a cancellation what is in flight still ends, and the rest becomes skipped.
export function isAtRest(run: Pick<Run, 'state' | 'ended_at'>): boolean {
  return isOver(run.state) && run.ended_at !== null;
}

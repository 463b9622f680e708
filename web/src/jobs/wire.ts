/// Jobs, runs and items as the contract has them, and the calls about them.
import { type Schema, api, call } from '../client/api';
import { doorToken } from '../session/doorToken';

export type JobSpec = Schema<'JobSpec'>;
export type RequestSpec = Schema<'RequestSpec'>;
export type InputSpec = Schema<'InputSpec'>;
export type PlanSpec = Schema<'PlanSpec'>;
export type WaveSpec = Schema<'WaveSpec'>;
export type ScheduleSpec = Schema<'ScheduleSpec'>;
export type Job = Schema<'Job'>;
export type Run = Schema<'Run'>;
export type RunState = Schema<'RunState'>;
export type Item = Schema<'Item'>;
type ItemState = Schema<'ItemState'>;

const path = (id: string) => ({ path: { id } });
const ifMatch = (id: string, version: number) => ({ ...path(id), header: { 'If-Match': `"${version}"` } });
// An empty filter is none.
const filters = <Q extends object>(query: Q) => Object.fromEntries(Object.entries(query).filter(([, value]) => value !== '' && value !== undefined)) as Q;

export const jobs = {
  list: (query: { folder?: string; q?: string; cursor?: string }) => call(api.GET('/api/v1/jobs', { params: { query: filters(query) } })),
  get: (id: string) => call(api.GET('/api/v1/jobs/{id}', { params: path(id) })),
  create: (body: JobSpec) => call(api.POST('/api/v1/jobs', { body })),
  save: (id: string, version: number, body: JobSpec) => call(api.PUT('/api/v1/jobs/{id}', { params: ifMatch(id, version), body })),
  remove: (id: string, version: number) => call(api.DELETE('/api/v1/jobs/{id}', { params: ifMatch(id, version) })),
  history: (id: string) => call(api.GET('/api/v1/jobs/{id}/history', { params: path(id) })),
  start: (id: string, body: Schema<'RunRequest'>) => call(api.POST('/api/v1/jobs/{id}/runs', { params: path(id), body })),
  bulk: (body: Schema<'BulkRequest'>) => call(api.POST('/api/v1/bulk', { body })),
  /// A file too large to be read here. It goes with the short-lived token: with the cookie only JSON is taken.
  upload: async (id: string, file: Blob, type: 'text/csv' | 'application/jsonl', query: { key?: string; duplicates?: string }) =>
    call(
      api.PUT('/api/v1/jobs/{id}/input', {
        params: { ...path(id), query: filters(query) },
        headers: { authorization: `Bearer ${await doorToken()}`, 'content-type': type },
        credentials: 'omit',
        body: file as unknown as string,
        bodySerializer: (body: unknown) => body as Blob,
      }),
    ),
};

export const runs = {
  list: (query: { job?: string; cursor?: string }) => call(api.GET('/api/v1/runs', { params: { query: filters(query) } })),
  get: (id: string) => call(api.GET('/api/v1/runs/{id}', { params: path(id) })),
  items: (id: string, query: { state?: ItemState | ''; limit?: number; cursor?: string }) => call(api.GET('/api/v1/runs/{id}/items', { params: { ...path(id), query: filters(query) } })),
  control: (id: string, what: 'pause' | 'resume' | 'cancel' | 'advance') => call(api.POST(`/api/v1/runs/{id}/${what}`, { params: path(id) })),
  retryFailed: (id: string, withUnknown: boolean) => call(api.POST('/api/v1/runs/{id}/retry-failed', { params: path(id), body: { with_unknown: withUnknown } })),
  events: (id: string) => `/api/v1/runs/${encodeURIComponent(id)}/events`,
  results: (id: string, format: 'csv' | 'jsonl') => `/api/v1/runs/${encodeURIComponent(id)}/results?format=${format}`,
};

/// Whether nothing more happens by itself.
export function isOver(state: RunState): boolean {
  return state === 'done' || state === 'cancelled';
}

/// Whether its counts stay as they are: after a cancellation what is in flight still ends, and the rest becomes skipped.
export function isAtRest(run: Pick<Run, 'state' | 'ended_at'>): boolean {
  return isOver(run.state) && run.ended_at != null;
}

/// A bulk run or a job as the form has it: rows, request, plan.
import type { InputSpec, JobSpec, RequestSpec } from '../jobs/wire';
import { type Plan, PRESETS, freshKey, planFromWire, planToWire } from './plan';
import { type Column, MAX_PARSED_BYTES, type ParsedRows, parseRows, rowObjects, rowsToCsv, withoutDuplicates } from './rows';
import { type Pair, type RequestTemplate, templateToWire } from './template';

export interface Draft {
  /// What was pasted or read from a file.
  text: string;
  fileName: string | null;
  /// Whether the first line names the columns; guessed when not said.
  header: boolean | undefined;
  /// Columns as the person changed them, by their place.
  renamed: Record<number, Partial<Pick<Column, 'name' | 'used'>>>;
  keepDuplicates: boolean;
  template: RequestTemplate;
  plan: Plan;
  name: string;
  folder: string;
  description: string;
  reason: string;
}

export function emptyDraft(folder: string): Draft {
  return {
    text: '',
    fileName: null,
    header: undefined,
    renamed: {},
    keepDuplicates: false,
    template: { region: '', service: '', instance: 'any', method: 'POST', path: '/', query: [], headers: [], body: '', bodyKind: 'none' },
    plan: (PRESETS[0] as (typeof PRESETS)[number]).plan(),
    name: '',
    folder,
    description: '',
    reason: '',
  };
}

/// The rows of a draft, with the columns as they were renamed.
export function rowsOf(draft: Pick<Draft, 'text' | 'header' | 'renamed' | 'keepDuplicates'>): ParsedRows {
  const parsed = parseRows(draft.text, draft.header);
  const columns = parsed.columns.map((column, index) => ({ ...column, ...draft.renamed[index] }));
  return { ...parsed, columns, rows: draft.keepDuplicates ? parsed.rows : withoutDuplicates(parsed.rows) };
}

/// The first row by column name, for previews.
export function sampleRow(rows: ParsedRows, index = 0): Record<string, string> {
  const row = rows.rows[index];
  return row ? (rowObjects(rows.columns, [row])[0] ?? {}) : {};
}

export function usedNames(rows: ParsedRows): string[] {
  return rows.columns.filter((column) => column.used).map((column) => column.name);
}

/// The rows on the wire, or why they cannot go along with the job.
export function inputToWire(rows: ParsedRows): InputSpec | undefined {
  if (rows.rows.length === 0) return undefined;
  return { csv: rowsToCsv(rows.columns, rows.rows), duplicates: 'allow' };
}

/// Whether a file is too large to be read in the page.
export function isTooLarge(bytes: number): boolean {
  return bytes > MAX_PARSED_BYTES;
}

/// The whole job on the wire.
export function draftToJob(draft: Draft, rows: ParsedRows, saved?: JobSpec): JobSpec {
  const input = inputToWire(rows);
  return {
    name: draft.name.trim(),
    folder: draft.folder.trim(),
    ...(draft.description.trim() && { description: draft.description.trim() }),
    request: { ...templateToWire(draft.template), ...(saved?.request.reason && { reason: saved.request.reason }) },
    ...(input && { input }),
    plan: planToWire(draft.plan, saved?.plan),
    ...(saved?.schedule && { schedule: saved.schedule }),
  };
}

/// A saved job in the form.
export function draftOfJob(job: JobSpec): Draft {
  const { input } = job;
  return {
    ...emptyDraft(job.folder),
    text: input?.csv ?? input?.jsonl ?? (input?.rows ?? []).map((row) => JSON.stringify(row)).join('\n'),
    header: input?.csv === undefined || input.columns ? undefined : true,
    renamed: Object.fromEntries((input?.columns ?? []).map((name, index) => [index, { name }])),
    keepDuplicates: input?.duplicates === 'allow',
    template: templateOf(job.request),
    plan: planFromWire(job.plan),
    name: job.name,
    folder: job.folder,
    description: job.description ?? '',
    reason: '',
  };
}

function templateOf(request: RequestSpec): RequestTemplate {
  const pairs = (object: Record<string, string> = {}): Pair[] => Object.entries(object).map(([name, value]) => ({ key: freshKey(), name, value }));
  const isText = typeof request.body === 'string';
  return {
    region: request.region ?? request.regions?.join(', ') ?? '',
    service: request.service,
    instance: request.instance ?? 'any',
    method: request.method,
    path: request.path,
    query: pairs(request.query),
    headers: pairs(request.headers),
    body: request.body === undefined || request.body === null ? '' : isText ? String(request.body) : JSON.stringify(request.body, null, 2),
    bodyKind: request.body === undefined || request.body === null ? 'none' : isText ? 'text' : 'json',
  };
}

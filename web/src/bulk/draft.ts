/// A bulk run or a job as the form has it: rows, request, plan.
import type { InputSpec, JobSpec, RequestSpec } from '../jobs/wire';
import { NOTHING_SAID, type Plan, PRESETS, freshKey, planFromWire, planToWire } from './plan';
import { type Column, type Duplicates, JSON_LINES, MAX_PARSED_BYTES, type ParsedRows, parseRows, renameJsonLines, rowObjects, rowsToCsv, settleDuplicates } from './rows';
import { type Pair, type RequestTemplate, templateToWire } from './template';

export interface Draft {
  /// What was pasted or read from a file.
  text: string;
  fileName: string | null;
  /// Whether the first line names the columns; guessed when not said.
  header: boolean | undefined;
  /// Columns as the person changed them, by their place.
  renamed: Record<number, Partial<Pick<Column, 'name' | 'used'>>>;
  duplicates: Duplicates;
  /// The column by which rows are told apart; empty: by all.
  key: string;
  template: RequestTemplate;
  plan: Plan;
  name: string;
  folder: string;
  description: string;
  /// Why, for the audit log.
  reason: string;
}

export function emptyDraft(folder: string): Draft {
  return {
    text: '',
    fileName: null,
    header: undefined,
    renamed: {},
    duplicates: 'skip',
    key: '',
    template: { regions: [], service: '', instance: 'any', method: 'POST', path: '/', query: [], headers: [], body: '', bodyKind: 'none' },
    plan: PRESETS[0]?.plan() ?? NOTHING_SAID,
    name: '',
    folder,
    description: '',
    reason: '',
  };
}

/// The rows of a draft as they will be sent, with the columns as they were renamed.
export function rowsOf(draft: Pick<Draft, 'text' | 'header' | 'renamed' | 'duplicates' | 'key'>): ParsedRows {
  const parsed = parseRows(draft.text, draft.header);
  const columns = parsed.columns.map((column, index) => ({ ...column, ...draft.renamed[index] }));
  return settleDuplicates({ ...parsed, columns }, draft.duplicates, draft.key);
}

/// The first row by column name, for previews.
export function sampleRow(rows: ParsedRows, index = 0): Record<string, string> {
  const row = rows.rows[index];
  return row ? (rowObjects(rows.columns, [row])[0] ?? {}) : {};
}

export function usedNames(rows: ParsedRows): string[] {
  return rows.columns.filter((column) => column.used).map((column) => column.name);
}

/// The rows on the wire; none where they are uploaded on their own.
function inputToWire(draft: Draft, rows: ParsedRows): InputSpec | undefined {
  if (rows.rows.length === 0) return undefined;
  const text = rows.delimiter === JSON_LINES ? { jsonl: renameJsonLines(draft.text, rows.columns) } : { csv: rowsToCsv(rows.columns, rows.rows) };
  const key = usedNames(rows).includes(draft.key) && { key: draft.key };
  return { ...text, ...key, ...(draft.duplicates !== 'refuse' && { duplicates: draft.duplicates }) };
}

/// Whether a file is too large to be read in the page.
export function isTooLarge(bytes: number): boolean {
  return bytes > MAX_PARSED_BYTES;
}

/// The whole job on the wire, but for its schedule.
export function draftToJob(draft: Draft, rows: ParsedRows): JobSpec {
  const input = inputToWire(draft, rows);
  const reason = draft.reason.trim();
  return {
    name: draft.name.trim(),
    folder: draft.folder.trim(),
    ...(draft.description.trim() && { description: draft.description.trim() }),
    request: { ...templateToWire(draft.template), ...(reason && { reason }) },
    ...(input && { input }),
    plan: planToWire(draft.plan),
  };
}

/// A saved job in the form.
export function draftOfJob(job: JobSpec): Draft {
  const { input } = job;
  return {
    ...emptyDraft(job.folder ?? ''),
    text: input?.csv ?? input?.jsonl ?? (input?.rows ?? []).map((row) => JSON.stringify(row)).join('\n'),
    header: input?.csv == null ? undefined : !input.columns,
    renamed: Object.fromEntries((input?.columns ?? []).map((name, index) => [index, { name }])),
    duplicates: input?.duplicates ?? 'refuse',
    key: input?.key ?? '',
    template: templateOf(job.request ?? {}),
    plan: planFromWire(job.plan),
    name: job.name ?? '',
    description: job.description ?? '',
    reason: job.request?.reason ?? '',
  };
}

function templateOf(request: RequestSpec): RequestTemplate {
  const pairs = (object: Record<string, string> = {}): Pair[] => Object.entries(object).map(([name, value]) => ({ key: freshKey(), name, value }));
  const { body } = request;
  const isText = typeof body === 'string';
  const has = body !== undefined && body !== null;
  return {
    regions: request.regions?.length ? request.regions : request.region ? [request.region] : [],
    service: request.service ?? '',
    instance: request.instance ?? 'any',
    method: request.method ?? 'GET',
    path: request.path ?? '/',
    query: pairs(request.query),
    headers: pairs(request.headers),
    body: !has ? '' : isText ? body : JSON.stringify(body, null, 2),
    bodyKind: !has ? 'none' : isText ? 'text' : 'json',
  };
}

/// Sending a logged request again, and how the answer differs from the recorded one.
import { type Schema, api, call } from '../client/api';
import type { Entry } from './entry';

export type Retried = Schema<'RetryAnswer'>;

export interface RetryAsk {
  reason?: string;
  confirm: boolean;
  body?: string;
  query?: string;
}

/// Sends it again. Throws a `Problem`.
export function retryEntry(id: string, ask: RetryAsk): Promise<Retried> {
  return call(api.POST('/api/v1/audit/{id}/retry', { params: { path: { id } }, body: ask }));
}

/// One line of the comparison.
export interface Line {
  name: string;
  then: string | null;
  now: string | null;
  /// `null`: the record does not tell.
  same: boolean | null;
}

/// Recorded and new answer side by side: the status, then headers that differ, then the body.
export function compareAnswers(entry: Entry, retried: Retried): Line[] {
  const outcome = entry.outcome;
  const then = outcome?.status ?? null;
  const lines: Line[] = [
    {
      name: 'Status',
      then: then === null ? null : String(then),
      now: String(retried.status),
      same: said(retried.same.status) ?? (then === null ? null : then === retried.status),
    },
  ];
  // The server compares what the service sent, without what differs in every answer and without what Doorman adds.
  for (const name of retried.same.differing_headers) {
    lines.push({ name, then: join(outcome?.headers?.[name]), now: join(retried.headers?.[name]), same: false });
  }
  if (retried.same.headers === true) {
    lines.push({ name: 'Headers', then: 'as recorded', now: 'as recorded', same: true });
  }
  lines.push({
    name: 'Body',
    then: outcome?.body_sha256 ? `${outcome.body_size ?? 0} bytes, SHA-256 ${outcome.body_sha256.slice(0, 16)}…` : null,
    now: retried.body_sha256 ? `${retried.body_size} bytes, SHA-256 ${retried.body_sha256.slice(0, 16)}…` : `${retried.body_size} bytes`,
    same: said(retried.same.body),
  });
  return lines;
}

function said(value: unknown): boolean | null {
  return typeof value === 'boolean' ? value : null;
}

function join(value: string | string[] | undefined): string | null {
  if (value === undefined) return null;
  return Array.isArray(value) ? value.join(', ') : value;
}

/// The one-line verdict.
export function verdictOf(lines: Line[]): string {
  const differ = lines.filter((line) => line.same === false).map((line) => line.name.toLowerCase());
  if (differ.length > 0) return `Differs from the recorded answer: ${differ.join(', ')}.`;
  return lines.every((line) => line.same === true)
    ? 'The same answer as recorded.'
    : 'The same as recorded, as far as the record tells.';
}

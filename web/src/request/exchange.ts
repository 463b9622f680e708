/// Sending, and what came back: one exchange for each tab, kept while the page lives.
import { useSyncExternalStore } from 'react';
import { Problem, asProblem, problemFrom } from '../client/problem';
import { doorToken, forgetDoorToken } from '../session/doorToken';
import type { Composed } from './compose';
import { type ServerEvent, EventReader } from './events';

/// Bodies beyond this are not read on: the page would hold them in memory. They can still be had by curl.
const MAX_BODY = 256 * 1024 * 1024;
/// Latest events that are kept of an endless stream.
const MAX_EVENTS = 5_000;

export interface Answer {
  status: number;
  statusText: string;
  headers: [string, string][];
  type: string;
  auditId: string | null;
  instance: string | null;
  /// Whole once `state` is `done`; what came so far before.
  body: Blob;
  size: number;
  /// Of a stream of server-sent events.
  events: ServerEvent[] | null;
  /// Doorman's own refusal or failure.
  problem: Problem | null;
  cut: boolean;
}

export interface Exchange {
  state: 'sending' | 'receiving' | 'done' | 'failed' | 'cancelled';
  method: string;
  url: string;
  all: boolean;
  startedAt: number;
  /// Milliseconds until there was a token to send with.
  tokenMs: number;
  /// Milliseconds from the beginning to the answer's head, and to its end.
  headMs: number | null;
  totalMs: number | null;
  answer: Answer | null;
  problem: Problem | null;
}

const exchanges = new Map<string, Exchange>();
const aborts = new Map<string, AbortController>();
const listeners = new Set<() => void>();

function put(tab: string, exchange: Exchange): void {
  exchanges.set(tab, exchange);
  for (const listener of listeners) {
    listener();
  }
}

export function useExchange(tab: string): Exchange | undefined {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => exchanges.get(tab),
  );
}

/// Stops what a tab is waiting for.
export function cancel(tab: string): void {
  aborts.get(tab)?.abort();
}

/// Forgets a tab's exchange, as when it is closed.
export function forget(tab: string): void {
  cancel(tab);
  exchanges.delete(tab);
}

/// Sends a request through the door. Whatever happens ends up in the tab's exchange.
export async function send(tab: string, composed: Composed, all: boolean): Promise<void> {
  cancel(tab);
  const abort = new AbortController();
  aborts.set(tab, abort);
  const startedAt = performance.now();
  let exchange: Exchange = {
    state: 'sending', method: composed.method, url: composed.url, all,
    startedAt: Date.now(), tokenMs: 0, headMs: null, totalMs: null, answer: null, problem: null,
  };
  // A later send of the same tab has taken over: this one has nothing more to say.
  const update = (change: Partial<Exchange>) => {
    exchange = { ...exchange, ...change };
    if (aborts.get(tab) === abort) {
      put(tab, exchange);
    }
  };
  update({});
  try {
    const token = await doorToken();
    abort.signal.throwIfAborted();
    update({ tokenMs: performance.now() - startedAt });
    const response = await request(composed, token, abort.signal);
    const answer = answerOf(response);
    update({ state: 'receiving', headMs: performance.now() - startedAt, answer });
    await receive(response, answer, (answer) => update({ answer }), abort);
    update({ state: 'done', totalMs: performance.now() - startedAt });
  } catch (error) {
    const totalMs = performance.now() - startedAt;
    update(abort.signal.aborted ? { state: 'cancelled', totalMs } : { state: 'failed', totalMs, problem: asProblem(error) });
  }
}

async function request(composed: Composed, token: string, signal: AbortSignal): Promise<Response> {
  const headers = new Headers(composed.headers);
  // Beside `Doorman-Token` an Authorization of the user's own goes to the service untouched.
  headers.set('Doorman-Token', token);
  headers.set('Doorman-Timing', '1');
  if (composed.reason !== '') {
    headers.set('Doorman-Reason', headerText(composed.reason));
  }
  const response = await fetch(composed.url, {
    method: composed.method, headers, body: composed.body, signal,
    // The cookie is not for live services, and their answers are not for the cache.
    credentials: 'omit', cache: 'no-store', redirect: 'manual',
  });
  if (response.headers.get('doorman-error')?.startsWith('token_') || response.headers.get('doorman-error') === 'unauthenticated') {
    forgetDoorToken();
  }
  return response;
}

/// Headers are bytes: what is beyond ASCII travels as UTF-8.
function headerText(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text.replace(/[\r\n]+/g, ' ')));
}

function answerOf(response: Response): Answer {
  const type = (response.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  return {
    status: response.status,
    statusText: response.statusText,
    headers: [...response.headers],
    type,
    auditId: response.headers.get('doorman-audit-id'),
    instance: response.headers.get('doorman-instance'),
    body: new Blob(),
    size: 0,
    events: type === 'text/event-stream' ? [] : null,
    problem: null,
    cut: false,
  };
}

async function receive(response: Response, first: Answer, tell: (answer: Answer) => void, abort: AbortController): Promise<void> {
  let answer = first;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const reader = response.body?.getReader();
  const events = new EventReader();
  let told = performance.now();
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    answer = { ...answer, size: answer.size + value.byteLength };
    if (answer.events !== null) {
      const more = events.read(value);
      if (more.length > 0) {
        answer = { ...answer, events: [...answer.events, ...more].slice(-MAX_EVENTS) };
      }
    } else {
      chunks.push(value as Uint8Array<ArrayBuffer>);
    }
    if (answer.size > MAX_BODY && answer.events === null) {
      answer = { ...answer, cut: true };
      await reader.cancel();
      break;
    }
    // Often enough to look alive, seldom enough not to slow the reading down.
    if (performance.now() - told > 100) {
      told = performance.now();
      tell(answer);
      abort.signal.throwIfAborted();
    }
  }
  answer = { ...answer, body: new Blob(chunks, { type: 'application/octet-stream' }) };
  if (response.headers.has('doorman-error')) {
    answer = { ...answer, problem: await readProblem(answer) };
  }
  tell(answer);
}

async function readProblem(answer: Answer): Promise<Problem> {
  try {
    return problemFrom(answer.status, JSON.parse(await answer.body.text()));
  } catch {
    return problemFrom(answer.status, null);
  }
}

/// The typed client of the control API. The cookie authenticates it; `/r/…` has its own way (session/doorToken.ts).
import createClient from 'openapi-fetch';
import { problemFrom } from './problem';
import type { components, paths } from './schema';

/// Shapes of the contract by name: `Schema<'AuditEntry'>`.
export type Schema<Name extends keyof components['schemas']> = components['schemas'][Name];

type Listener = () => void;
const listeners = new Set<Listener>();

/// Calls `listener` whenever an answer says that the session has ended.
export function onUnauthenticated(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/// `api.GET('/api/v1/regions')`; wrap it in [`call`] to get data or a thrown Problem.
export const api = createClient<paths>({ baseUrl: '', credentials: 'same-origin' });

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/// The data of a call, or a thrown `Problem`. For react-query: `queryFn: () => call(api.GET(…))`.
export async function call<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) {
    return data as T;
  }
  const problem = problemFrom(response.status, error);
  // A mistyped password ends nothing.
  if (response.status === 401 && problem.code !== 'bad_credentials') {
    for (const listener of listeners) {
      listener();
    }
  }
  throw problem;
}

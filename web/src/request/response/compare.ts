/// Which instance answers differently. Fields that differ everywhere (ids, times) tell nothing and are passed over.

export interface InstanceAnswer {
  instance: string;
  status: number;
  headers: Record<string, string>;
  body: unknown;
  body_encoding?: string;
  duration_ms: number;
  audit_id: string | null;
}

export interface Difference {
  /// `status`, or a JSON path in the body: `$.version`.
  field: string;
  value: string;
  /// What most others have.
  usual: string;
}

/// For each instance, where it differs from what most have. Nobody is odd without a majority.
export function findOdd(answers: InstanceAnswer[]): Map<string, Difference[]> {
  const odd = new Map<string, Difference[]>(answers.map(({ instance }) => [instance, []]));
  const facts = answers.map(({ status, body }) => new Map([['status', String(status)], ...flatten(body, '$', 0)]));
  const fields = new Set(facts.flatMap((fact) => [...fact.keys()]));
  for (const field of fields) {
    const counts = new Map<string, number>();
    for (const fact of facts) {
      const value = fact.get(field) ?? '(missing)';
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    const [usual, most] = [...counts].reduce((best, next) => (next[1] > best[1] ? next : best), ['', 0]);
    if (counts.size < 2 || most * 2 <= answers.length) {
      continue;
    }
    answers.forEach(({ instance }, index) => {
      const value = facts[index]?.get(field) ?? '(missing)';
      if (value !== usual) {
        odd.get(instance)?.push({ field, value, usual });
      }
    });
  }
  return odd;
}

const DEPTH = 8;
const FIELDS = 2_000;

function flatten(value: unknown, path: string, depth: number): [string, string][] {
  if (typeof value !== 'object' || value === null || depth >= DEPTH) {
    return [[path, JSON.stringify(value) ?? 'undefined']];
  }
  const entries = Object.entries(value);
  if (entries.length === 0) {
    return [[path, Array.isArray(value) ? '[]' : '{}']];
  }
  const inner = entries.flatMap(([name, part]) =>
    flatten(part, Array.isArray(value) ? `${path}[${name}]` : `${path}.${name}`, depth + 1),
  );
  return inner.slice(0, FIELDS);
}

/// The answers of an `@all` request, or null if the body is something else.
export function readAnswers(text: string): InstanceAnswer[] | null {
  try {
    const value: unknown = JSON.parse(text);
    const fits = Array.isArray(value) && value.every((part) => typeof part?.instance === 'string' && typeof part?.status === 'number');
    return fits ? (value as InstanceAnswer[]) : null;
  } catch {
    return null;
  }
}

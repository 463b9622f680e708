/// Doorman's errors (RFC 9457) as a value that pages can show.

/// One field that was not valid.
export interface FieldError {
  field: string;
  detail: string;
}

/// What went wrong, in the server's words, or in ours where no answer came.
export class Problem extends Error {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly hint: string | null;
  readonly auditId: string | null;
  readonly errors: FieldError[];
  readonly policies: string[];

  constructor(facts: {
    code: string;
    status: number;
    title?: string;
    detail?: string;
    hint?: string | null;
    audit_id?: string | null;
    errors?: FieldError[];
    policies?: string[];
  }) {
    super(facts.detail ?? facts.title ?? facts.code);
    this.code = facts.code;
    this.status = facts.status;
    this.title = facts.title ?? facts.code;
    this.detail = facts.detail ?? '';
    this.hint = facts.hint ?? null;
    this.auditId = facts.audit_id ?? null;
    this.errors = facts.errors ?? [];
    this.policies = facts.policies ?? [];
  }
}

/// Reads a problem document. Anything else becomes a problem that says what came instead.
export function problemFrom(status: number, body: unknown): Problem {
  if (typeof body === 'object' && body !== null && 'code' in body && typeof body.code === 'string') {
    return new Problem({ ...(body as ConstructorParameters<typeof Problem>[0]), status });
  }
  return new Problem({
    code: 'unexpected',
    status,
    title: 'Unexpected answer',
    detail: `The answer has status ${status} and is no problem document.`,
    hint: 'Something between this page and Doorman answered, or versions differ: reload the page.',
  });
}

/// Whatever was thrown, as a problem.
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) {
    return error;
  }
  // `fetch` throws TypeError when no answer comes at all.
  if (error instanceof TypeError) {
    return new Problem({
      code: 'unreachable',
      status: 0,
      title: 'Doorman does not answer',
      detail: 'No answer came from Doorman.',
      hint: 'Check that `doorman api` runs and that you are connected, then try again.',
    });
  }
  return new Problem({
    code: 'console',
    status: 0,
    title: 'This page failed',
    detail: error instanceof Error ? error.message : String(error),
    hint: 'Reload the page; your tabs are kept.',
  });
}

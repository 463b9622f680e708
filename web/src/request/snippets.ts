/// A request as code to copy. The token is read from the environment variable DOORMAN_TOKEN: none stands in the code.
import { HTTPSnippet, type TargetId } from 'httpsnippet-lite';
import { type Composed } from './compose';
import type { Draft } from './draft';

export const LANGUAGES = [
  { id: 'curl', label: 'curl' },
  { id: 'python', label: 'Python' },
  { id: 'javascript', label: 'JavaScript' },
  { id: 'go', label: 'Go' },
  { id: 'java', label: 'Java' },
] as const;

export type Language = (typeof LANGUAGES)[number]['id'];

const TOKEN = 'DOORMAN_TOKEN_GOES_HERE';

const MAKERS: Record<Language, { target: TargetId; client: string; finish: (code: string) => string }> = {
  curl: {
    target: 'shell',
    client: 'curl',
    finish: (code) => code.replace(`'Authorization: Bearer ${TOKEN}'`, '"Authorization: Bearer $DOORMAN_TOKEN"'),
  },
  python: {
    target: 'python',
    client: 'requests',
    finish: (code) =>
      `import os\n${code.replace(`"Bearer ${TOKEN}"`, `f"Bearer {os.environ['DOORMAN_TOKEN']}"`)}`,
  },
  javascript: {
    target: 'javascript',
    client: 'fetch',
    finish: (code) => code.replace(`'Bearer ${TOKEN}'`, '`Bearer ${process.env.DOORMAN_TOKEN}`'),
  },
  go: {
    target: 'go',
    client: 'native',
    finish: (code) =>
      code
        .replace(`"Bearer ${TOKEN}"`, '"Bearer "+os.Getenv("DOORMAN_TOKEN")')
        .replace('"net/http"\n', '"net/http"\n\t"os"\n'),
  },
  java: {
    target: 'java',
    client: 'nethttp',
    finish: (code) => code.replace(`"Bearer ${TOKEN}"`, '"Bearer " + System.getenv("DOORMAN_TOKEN")'),
  },
};

/// The code, for a Doorman at `origin`.
export async function snippet(language: Language, origin: string, draft: Draft, composed: Composed): Promise<string> {
  const { target, client, finish } = MAKERS[language];
  const own: [string, string][] = [['Authorization', `Bearer ${TOKEN}`]];
  if (composed.reason !== '') {
    own.push(['Doorman-Reason', composed.reason]);
  }
  // The service's own Authorization moves Doorman's credential to its other header.
  const theirs = composed.headers.some(([name]) => name.toLowerCase() === 'authorization');
  const headers = [...(theirs ? [['Doorman-Token', TOKEN] as [string, string], ...own.slice(1)] : own), ...composed.headers];
  const request = {
    method: composed.method,
    url: origin + composed.url,
    httpVersion: 'HTTP/1.1',
    cookies: [],
    queryString: [],
    headers: headers.map(([name, value]) => ({ name, value })),
    headersSize: -1,
    bodySize: -1,
    postData: postData(draft, composed),
  };
  const made = await new HTTPSnippet(request as never).convert(target, client as never);
  const code = Array.isArray(made) ? (made[0] ?? '') : (made ?? '');
  return theirs ? finishBare(language, finish, code) : finish(code);
}

/// As `finish`, where the token stands alone in its header.
function finishBare(language: Language, finish: (code: string) => string, code: string): string {
  const bare: Record<Language, [string, string]> = {
    curl: [`'Doorman-Token: ${TOKEN}'`, '"Doorman-Token: $DOORMAN_TOKEN"'],
    python: [`"${TOKEN}"`, "os.environ['DOORMAN_TOKEN']"],
    javascript: [`'${TOKEN}'`, 'process.env.DOORMAN_TOKEN'],
    go: [`"${TOKEN}"`, 'os.Getenv("DOORMAN_TOKEN")'],
    java: [`"${TOKEN}"`, 'System.getenv("DOORMAN_TOKEN")'],
  };
  const [from, to] = bare[language];
  return finish(code.replace(from, to));
}

function postData(draft: Draft, composed: Composed): unknown {
  if (composed.body === null) {
    return undefined;
  }
  const type = composed.headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
  if (draft.body.kind === 'multipart') {
    const params = draft.body.parts
      .filter(({ on, name }) => on && name !== '')
      .map(({ name, value, file }) => (file ? { name, fileName: file.name } : { name, value }));
    return { mimeType: 'multipart/form-data', params };
  }
  const text = typeof composed.body === 'string' ? composed.body : `contents of ${draft.body.file?.name ?? 'the file'}`;
  return { mimeType: type.split(';')[0] || 'text/plain', text };
}

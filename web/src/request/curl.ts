/// Reads a curl command as people paste it: from documentation, a colleague, or a browser's “Copy as cURL”.
import { parse } from 'shell-quote';
import { type Draft, type Row, emptyDraft, row } from './draft';

/// Flags that take a value, by what they mean here. Those that mean nothing here are passed over with their value.
const VALUED: Record<string, string> = {
  '-X': 'method', '--request': 'method',
  '-H': 'header', '--header': 'header',
  '-d': 'data', '--data': 'data', '--data-ascii': 'data',
  '--data-raw': 'raw', '--data-binary': 'binary', '--json': 'json',
  '--data-urlencode': 'urlencode',
  '-F': 'form', '--form': 'form', '--form-string': 'form',
  '-u': 'user', '--user': 'user',
  '-A': 'agent', '--user-agent': 'agent',
  '-e': 'referer', '--referer': 'referer',
  '-b': 'cookie', '--cookie': 'cookie',
  '-T': 'upload', '--upload-file': 'upload',
  '--url': 'url', '--url-query': 'query',
  '-o': '', '--output': '', '-m': '', '--max-time': '', '--connect-timeout': '', '-x': '', '--proxy': '',
  '--cacert': '', '-E': '', '--cert': '', '--key': '', '--resolve': '', '-w': '', '--write-out': '', '-c': '',
  '--cookie-jar': '', '-D': '', '--dump-header': '', '--retry': '', '-r': '', '--range': '', '--ciphers': '',
  '--limit-rate': '', '-K': '', '--config': '', '--interface': '', '--retry-delay': '', '--max-redirs': '',
};
/// Flags without a value that change the request.
const PLAIN: Record<string, string> = { '-G': 'get', '--get': 'get', '-I': 'head', '--head': 'head' };

export interface Pasted {
  draft: Draft;
  /// What was left out, in words.
  notes: string[];
}

/// Whether a text looks like a curl command.
export function isCurl(text: string): boolean {
  return /^\s*(\$\s*)?(doorman\s+)?curl\s/.test(text);
}

/// The request of a curl command; `null` if it names no address.
export function parseCurl(command: string): Pasted | null {
  const words = wordsOf(command);
  const notes: string[] = [];
  const headers: Row[] = [];
  const data: string[] = [];
  const parts: Row[] = [];
  const query: Row[] = [];
  let [method, url, isJson, asQuery, isForm, upload] = ['', '', false, false, false, ''];

  for (let index = 0; index < words.length; index += 1) {
    const [flag, attached] = splitFlag(words[index] ?? '');
    if (flag === null) {
      url ||= attached;
      continue;
    }
    const plain = PLAIN[flag];
    if (plain !== undefined) {
      asQuery ||= plain === 'get';
      method = plain === 'head' ? 'HEAD' : method;
      continue;
    }
    const meaning = VALUED[flag];
    if (meaning === undefined) {
      continue;
    }
    const value = attached || (words[(index += 1)] ?? '');
    switch (meaning) {
      case 'method':
        method = value.toUpperCase();
        break;
      case 'header': {
        const at = value.indexOf(':');
        headers.push(row(value.slice(0, at < 0 ? undefined : at).trim(), at < 0 ? '' : value.slice(at + 1).trim()));
        break;
      }
      case 'json':
        isJson = true;
        data.push(value);
        break;
      case 'data':
      case 'binary':
        if (value.startsWith('@')) {
          notes.push(`Choose the file ${value.slice(1)} as the body; a command holds only its name.`);
          upload = value.slice(1);
        } else {
          // As curl does: line ends go from --data, and stay in --data-binary.
          data.push(meaning === 'data' ? value.replace(/[\r\n]/g, '') : value);
        }
        break;
      case 'raw':
        data.push(value);
        break;
      case 'urlencode': {
        const at = value.indexOf('=');
        const [name, text] = at < 0 ? ['', value] : [value.slice(0, at), value.slice(at + 1)];
        data.push(`${name === '' ? '' : `${name}=`}${encodeURIComponent(text)}`);
        break;
      }
      case 'form': {
        isForm = true;
        const at = value.indexOf('=');
        const [name, text] = [value.slice(0, at), value.slice(at + 1)];
        if (/^[@<]/.test(text)) {
          notes.push(`Choose the file ${text.slice(1)} for the part ${name}.`);
        }
        parts.push(row(name, /^[@<]/.test(text) ? '' : text));
        break;
      }
      case 'user':
        notes.push('The name and password of --user were left out: you are known here by your login.');
        break;
      case 'agent':
        headers.push(row('User-Agent', value));
        break;
      case 'referer':
      case 'cookie':
        notes.push(`Browsers send no ${meaning === 'cookie' ? 'Cookie' : 'Referer'} of a page's choosing: it was left out.`);
        break;
      case 'upload':
        method ||= 'PUT';
        upload = value;
        notes.push(`Choose the file ${value} as the body.`);
        break;
      case 'url':
        url ||= value;
        break;
      case 'query':
        query.push(...pairs(value));
        break;
    }
  }
  if (url === '') {
    return null;
  }

  const draft = emptyDraft();
  place(draft, url, notes);
  draft.query.push(...query);
  draft.headers = headers.filter(({ name, value }) => {
    const own = /^(authorization|doorman-token)$/i.test(name) && /^(bearer|basic)\b|^ey/i.test(value) && url.includes('/r/');
    if (own) {
      notes.push('Your credential was left out: this page uses your login.');
    }
    if (/^doorman-reason$/i.test(name)) {
      draft.reason = value;
      return false;
    }
    return !own && !/^content-length$/i.test(name);
  });
  if (asQuery) {
    draft.query.push(...data.flatMap(pairs));
    draft.method = method || 'GET';
  } else if (isForm) {
    draft.body = { ...draft.body, kind: 'multipart', parts };
    draft.method = method || 'POST';
  } else if (upload !== '') {
    draft.body = { ...draft.body, kind: 'file' };
    draft.method = method || 'POST';
  } else if (data.length > 0) {
    putBody(draft, data.join(isJson ? '' : '&'), isJson);
    draft.method = method || 'POST';
  } else {
    draft.method = method || 'GET';
  }
  return { draft, notes };
}

/// Where the request goes. An address of Doorman's own door names region and service; another only path and query.
function place(draft: Draft, text: string, notes: string[]): void {
  let url: URL;
  try {
    url = new URL(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`);
  } catch {
    draft.path = text;
    return;
  }
  const door = /^\/r\/([^/@]+)\/([^/@]+)(?:@([^/]+))?(\/.*)?$/.exec(url.pathname);
  if (door !== null) {
    draft.region = decodeURIComponent(door[1] ?? '');
    draft.service = decodeURIComponent(door[2] ?? '');
    draft.instance = decodeURIComponent(door[3] ?? 'any');
    draft.path = door[4] ?? '/';
  } else {
    draft.path = url.pathname;
    notes.push(`The command goes to ${url.host}: choose the region and service that stand for it.`);
  }
  draft.query = pairs(url.search.slice(1));
}

function putBody(draft: Draft, text: string, isJson: boolean): void {
  const typeRow = draft.headers.find(({ name }) => name.toLowerCase() === 'content-type');
  const type = typeRow?.value.toLowerCase() ?? (isJson ? 'application/json' : 'application/x-www-form-urlencoded');
  const drop = () => {
    draft.headers = draft.headers.filter((line) => line !== typeRow);
  };
  if (type.includes('json') || (typeRow === undefined && /^\s*[[{]/.test(text))) {
    draft.body = { ...draft.body, kind: 'json', text: prettyOr(text) };
    if (type === 'application/json') {
      drop();
    }
  } else if (type.startsWith('application/x-www-form-urlencoded')) {
    draft.body = { ...draft.body, kind: 'form', form: pairs(text) };
    drop();
  } else {
    draft.body = { ...draft.body, kind: 'text', text };
  }
}

function prettyOr(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function pairs(text: string): Row[] {
  return [...new URLSearchParams(text)].map(([name, value]) => row(name, value));
}

/// The words of a command after `curl`. Variables stay as written; comments and operators end it.
function wordsOf(command: string): string[] {
  const oneLine = command
    .trim()
    .replace(/^\$\s*/, '')
    // cmd.exe's continuation, then a shell's.
    .replace(/\^\r?\n/g, ' ')
    .replace(/\\\r?\n/g, ' ')
    // $'…' of bash: shell-quote does not know it.
    .replace(/\$'((?:[^'\\]|\\.)*)'/g, (_, text: string) => JSON.stringify(unescapeAnsi(text)));
  const words: string[] = [];
  for (const part of shellParts(oneLine)) {
    if (typeof part === 'string') {
      words.push(part);
    } else if ('op' in part && part.op === 'glob' && 'pattern' in part) {
      words.push(part.pattern);
    } else if ('op' in part && part.op === '&' && words.length > 0) {
      // An address pasted without quotes.
      words[words.length - 1] += '&';
    } else {
      break;
    }
  }
  const start = words.indexOf('curl');
  const rest = words.slice(start + 1);
  // What follows an unquoted & belongs to the word before it.
  return rest.reduce<string[]>((joined, word) => {
    const last = joined.at(-1);
    if (last?.endsWith('&') && last.includes('?') && !word.startsWith('-')) {
      joined[joined.length - 1] = last + word;
    } else {
      joined.push(word);
    }
    return joined;
  }, []);
}

/// shell-quote throws on what no shell would take; then there is no command.
function shellParts(line: string): ReturnType<typeof parse> {
  try {
    return parse(line, (name) => `$${name}`);
  } catch {
    return [];
  }
}

function unescapeAnsi(text: string): string {
  const simple: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\\': '\\', "'": "'", '"': '"' };
  return text.replace(/\\(u[0-9a-f]{4}|x[0-9a-f]{2}|.)/gi, (_, code: string) =>
    /^[ux]./i.test(code) ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (simple[code] ?? code),
  );
}

/// A word as flag and attached value (`-XPOST`, `--request=POST`), or as no flag.
function splitFlag(word: string): [string | null, string] {
  if (!word.startsWith('-') || word === '-') {
    return [null, word];
  }
  if (word.startsWith('--')) {
    const at = word.indexOf('=');
    return at < 0 ? [word, ''] : [word.slice(0, at), word.slice(at + 1)];
  }
  // Single letters may be joined, the last one with a value: -sSXPOST.
  for (let at = 1; at < word.length; at += 1) {
    const flag = `-${word[at]}`;
    if (flag in VALUED) {
      return [flag, word.slice(at + 1)];
    }
    if (flag in PLAIN) {
      return [flag, ''];
    }
  }
  return [word, ''];
}

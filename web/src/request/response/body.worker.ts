/// Reads a body away from the page, so that megabytes do not freeze it.
import { type Node, childrenOf, findAll, lineStarts, nodeOf } from './lines';

export type Ask =
  | { id: number; ask: 'open'; body: Blob; charset: string }
  | { id: number; ask: 'lines'; pretty: boolean }
  | { id: number; ask: 'find'; pretty: boolean; wanted: string }
  | { id: number; ask: 'children'; path: number[]; from: number; most: number };

export interface Opened {
  isJson: boolean;
  isBinary: boolean;
  root: Node | null;
}
export interface Lines {
  text: string;
  starts: Uint32Array<ArrayBuffer>;
}

/// More matches help nobody.
const MOST = 10_000;

let raw = '';
let parsed: unknown;
let isJson = false;
let pretty: string | null = null;

function prettyText(): string {
  pretty ??= isJson ? JSON.stringify(parsed, null, 2) : raw;
  return pretty;
}

async function answer(ask: Ask): Promise<Opened | Lines | number[] | Node[]> {
  switch (ask.ask) {
    case 'open': {
      const bytes = await ask.body.arrayBuffer();
      raw = decode(bytes, ask.charset);
      pretty = null;
      try {
        parsed = JSON.parse(raw);
        isJson = typeof parsed === 'object' && parsed !== null;
      } catch {
        isJson = false;
      }
      const isBinary = !isJson && new Uint8Array(bytes, 0, Math.min(bytes.byteLength, 8_192)).includes(0);
      return { isJson, isBinary, root: isJson ? nodeOf(parsed, '$', []) : null };
    }
    case 'lines': {
      const text = ask.pretty ? prettyText() : raw;
      return { text, starts: lineStarts(text) };
    }
    case 'find':
      return findAll(ask.pretty ? prettyText() : raw, ask.wanted, MOST);
    case 'children':
      return childrenOf(parsed, ask.path, ask.from, ask.most);
  }
}

function decode(bytes: ArrayBuffer, charset: string): string {
  try {
    return new TextDecoder(charset || 'utf-8').decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes);
  }
}

addEventListener('message', ({ data }: MessageEvent<Ask>) => {
  answer(data).then(
    (value) => postMessage({ id: data.id, value }),
    (error: unknown) => postMessage({ id: data.id, error: String(error) }),
  );
});

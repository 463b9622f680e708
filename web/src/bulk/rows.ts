/// Rows for a bulk run, from what people have: ids in a mail, a sheet saved as CSV, lines of JSON.

import Papa from 'papaparse';

/// One column of the input.
export type Column = {
  /// As the file calls it.
  header: string;
  /// As placeholders call it: `{{name}}`.
  name: string;
  /// Whether its values are sent along.
  used: boolean;
};

/// Something that a person should look at before anything is sent.
export type RowProblem = { line: number; text: string; fatal: boolean };

export type ParsedRows = {
  columns: Column[];
  /// Values by column, in the order of `columns`.
  rows: string[][];
  problems: RowProblem[];
  /// How the columns were told apart, for people: `;`.
  delimiter: string;
  /// Whether the first line was taken for names.
  hasHeader: boolean;
  /// The line of the text in which a row begins.
  lines: (row: number) => number;
  /// How many rows repeat an earlier one.
  repeated: number;
};

/// Beyond this many bytes a file is handed to the server as it is.
export const MAX_PARSED_BYTES = 8 * 1024 * 1024;
/// Problems that are listed; more are counted.
const MAX_PROBLEMS = 200;

/// What `delimiter` says of JSON lines.
export const JSON_LINES = 'JSON lines';

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

/**
 * Reads pasted ids or CSV. `header` says whether the first line names the columns; without it that is guessed: one lonely
 * column of values that look alike has none.
 */
export function parseRows(text: string, header?: boolean): ParsedRows {
  const plain = text.replace(/^\uFEFF/, '');
  const first = plain.trimStart();
  if (first.startsWith('{')) return parseJsonLines(plain);
  const parsed = Papa.parse<string[]>(plain, { skipEmptyLines: 'greedy', delimitersToGuess: [',', ';', '\t', '|'] });
  const problems: RowProblem[] = [];
  const lines = lineNumbers(plain, parsed.data.length);
  for (const error of parsed.errors) {
    // One column needs no delimiter, so that none was found is no fault.
    if (error.type === 'Delimiter') continue;
    const line = lines(error.row ?? 0);
    problems.push({ line, text: sentenceOf(error.code, error.message), fatal: error.type === 'Quotes' });
  }
  const table = parsed.data.map((row) => row.map((value) => value.trim()));
  const width = table[0]?.length ?? 0;
  const hasHeader = header ?? looksLikeHeader(table);
  const names = hasHeader ? (table[0] ?? []) : defaultNames(width);
  const rows: string[][] = [];
  table.slice(hasHeader ? 1 : 0).forEach((row, index) => {
    const line = lines(index + (hasHeader ? 1 : 0));
    if (row.length !== width) {
      problems.push({ line, text: `has ${count(row.length, 'value')} for ${count(width, 'column')}`, fatal: true });
    }
    rows.push(Array.from({ length: width }, (_, at) => row[at] ?? ''));
  });
  problems.sort((a, b) => a.line - b.line);
  const lineOf = (row: number) => lines(row + (hasHeader ? 1 : 0));
  return { columns: nameColumns(names), rows, problems, delimiter: parsed.meta.delimiter, hasHeader, lines: lineOf, repeated: 0 };
}

function parseJsonLines(text: string): ParsedRows {
  const problems: RowProblem[] = [];
  const objects: Record<string, unknown>[] = [];
  const lines: number[] = [];
  text.split(/\r?\n/).forEach((line, index) => {
    if (!line.trim()) return;
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('is no JSON object');
      objects.push(value as Record<string, unknown>);
      lines.push(index + 1);
    } catch (error) {
      problems.push({ line: index + 1, text: error instanceof Error ? error.message : 'is no JSON', fatal: true });
    }
  });
  const names = [...new Set(objects.flatMap((object) => Object.keys(object)))];
  const rows = objects.map((object) => names.map((name) => textOf(object[name])));
  return { columns: nameColumns(names), rows, problems, delimiter: JSON_LINES, hasHeader: true, lines: (row) => lines[row] ?? 0, repeated: 0 };
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/// Where the rows begin: quoted values may span lines, so rows and lines are not the same.
function lineNumbers(text: string, rows: number): (row: number) => number {
  let memo: number[] | undefined;
  const build = () => {
    const starts: number[] = [];
    let line = 1;
    let quoted = false;
    let start = 1;
    let blank = true;
    for (let at = 0; at <= text.length; at++) {
      const character = text[at];
      if (character === '"') quoted = !quoted;
      const isEnd = character === undefined || (!quoted && (character === '\n' || character === '\r'));
      if (isEnd) {
        if (!blank) starts.push(start);
        if (character === '\r' && text[at + 1] === '\n') at++;
        line++;
        start = line;
        blank = true;
      } else {
        if (character === '\n') line++;
        if (character !== undefined && !/[\s,;|]/.test(character)) blank = false;
      }
    }
    return starts;
  };
  return (row) => {
    memo ??= build();
    return memo[Math.min(row, rows - 1)] ?? row + 1;
  };
}

function looksLikeHeader(table: string[][]): boolean {
  const [first, second] = table;
  if (!first || !second) return false;
  if (!first.every((value) => value !== '' && /^[\p{L}_]/u.test(value) && value.length <= 64)) return false;
  if (new Set(first).size !== first.length) return false;
  // A single column of names alike (abc, abd, …) is data; a header differs in kind from what stands below it.
  return first.length > 1 || first.some((value, at) => /\d/.test(second[at] ?? '') && !/\d/.test(value));
}

function defaultNames(width: number): string[] {
  return width === 1 ? ['id'] : Array.from({ length: width }, (_, index) => `column${index + 1}`);
}

/// Names that placeholders can use, each once.
export function nameColumns(headers: string[]): Column[] {
  const taken = new Set<string>();
  return headers.map((header, index) => {
    const cleaned = header
      .trim()
      .replace(/[^A-Za-z0-9_.-]+/g, '_')
      .replace(/^([^A-Za-z_])/, '_$1')
      .replace(/^_+$/, '');
    const base = cleaned || `column${index + 1}`;
    let name = base;
    for (let number = 2; taken.has(name); number++) name = `${base}_${number}`;
    taken.add(name);
    return { header, name, used: true };
  });
}

/// What is wrong with the name of a column, if anything is.
export function columnError(columns: Column[], index: number): string | undefined {
  const name = columns[index]?.name ?? '';
  if (!columns[index]?.used) return undefined;
  if (!NAME.test(name)) return 'Letters, digits, _ . - and no digit first';
  const same = columns.some((other, at) => at !== index && other.used && other.name === name);
  return same ? 'Another column has this name' : undefined;
}

function* duplicatePairs(rows: string[][], by: (row: string[]) => unknown = (row) => row): Generator<[number, number]> {
  const seen = new Map<string, number>();
  for (const [index, row] of rows.entries()) {
    const key = JSON.stringify(by(row));
    const before = seen.get(key);
    if (before === undefined) seen.set(key, index);
    else yield [index, before];
  }
}

/// What becomes of rows that repeat an earlier one.
export type Duplicates = 'skip' | 'allow' | 'refuse';

/// The rows as they will be sent: alike are those with the same key, or else with the same values in all used columns.
export function settleDuplicates(parsed: ParsedRows, what: Duplicates, key: string): ParsedRows {
  if (what === 'allow') return parsed;
  const counts = parsed.columns.flatMap((column, index) => (column.used && (key === '' || column.name === key) ? [index] : []));
  const repeated = [...duplicatePairs(parsed.rows, (row) => counts.map((index) => row[index]))];
  if (repeated.length === 0) return parsed;
  const found = repeated.slice(0, MAX_PROBLEMS).map(([index, before]): RowProblem => ({
    line: parsed.lines(index), text: `repeats line ${parsed.lines(before)}`, fatal: what === 'refuse',
  }));
  const problems = [...parsed.problems, ...found].sort((a, b) => a.line - b.line);
  const gone = new Set(what === 'skip' ? repeated.map(([index]) => index) : []);
  return { ...parsed, problems, repeated: repeated.length, rows: parsed.rows.filter((_, index) => !gone.has(index)) };
}

/// The rows as objects by column name, unused columns left out.
export function rowObjects(columns: Column[], rows: string[][]): Record<string, string>[] {
  const used = columns.flatMap((column, index) => (column.used ? [[column.name, index] as const] : []));
  return rows.map((row) => Object.fromEntries(used.map(([name, index]) => [name, row[index] ?? ''])));
}

/// Lines of JSON with the columns as they are called and used now. Values keep their types: a number stays one.
export function renameJsonLines(text: string, columns: Column[]): string {
  const used = columns.filter((column) => column.used);
  return text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .map((row) => JSON.stringify(Object.fromEntries(used.map(({ header, name }) => [name, row[header] ?? null]))))
    .join('\n');
}

/// The rows as CSV with the columns' names, for upload.
export function rowsToCsv(columns: Column[], rows: string[][]): string {
  return Papa.unparse(rowObjects(columns, rows), { newline: '\n' });
}

function sentenceOf(code: string, message: string): string {
  if (code === 'MissingQuotes') return 'a quote is opened and never closed';
  if (code === 'InvalidQuotes') return 'text follows a closing quote';
  return message;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

import { describe, expect, it } from 'vitest';
import { columnError, nameColumns, parseRows, rowObjects, rowsToCsv, settleDuplicates } from './rows';

describe('rows from pasted text', () => {
  it('takes one id a line, and calls the column id', () => {
    const parsed = parseRows('1\n2\r\n\n3  \n');
    expect(parsed.columns.map((column) => column.name)).toEqual(['id']);
    expect(parsed.rows).toEqual([['1'], ['2'], ['3']]);
    expect(parsed.problems).toEqual([]);
  });

  it('takes what a spreadsheet saves: byte order mark, semicolons, quotes, CRLF', () => {
    const parsed = parseRows('\uFEFFid;name\r\n1;"Miller; Sons"\r\n2;"a ""b""\r\nc"\r\n');
    expect(parsed.delimiter).toBe(';');
    expect(parsed.columns.map((column) => column.name)).toEqual(['id', 'name']);
    expect(parsed.rows).toEqual([
      ['1', 'Miller; Sons'],
      ['2', 'a "b"\r\nc'],
    ]);
  });

  it('tells a header from the first id', () => {
    expect(parseRows('company_id\n17\n18').rows).toEqual([['17'], ['18']]);
    expect(parseRows('alpha\nbeta\ngamma').rows).toHaveLength(3);
    expect(parseRows('id\n17', false).rows).toEqual([['id'], ['17']]);
  });

  it('names lines that do not fit, by their place in the text', () => {
    const parsed = parseRows('id,to\n1,v2\n"2\n2",v2\n3\n1,v2\n');
    expect(parsed.problems).toEqual([
      { line: 5, text: 'has 1 value for 2 columns', fatal: true },
    ]);
  });

  it('says when a quote stays open', () => {
    const parsed = parseRows('id,name\n1,"open\n2,b\n');
    expect(parsed.problems.some((problem) => problem.fatal && problem.text.includes('never closed'))).toBe(true);
  });

  it('takes lines of JSON', () => {
    const parsed = parseRows('{"id":1,"tags":["a"]}\n{"id":2}\nnot\n');
    expect(rowObjects(parsed.columns, parsed.rows)).toEqual([
      { id: '1', tags: '["a"]' },
      { id: '2', tags: '' },
    ]);
    expect(parsed.problems[0]).toMatchObject({ line: 3, fatal: true });
  });

  it('leaves repeated rows out, sends them, or takes them for mistakes', () => {
    const parsed = parseRows('id,to\n1,a\n2,a\n1,b\n2,a\n');
    const settled = (...how: ['skip' | 'allow' | 'refuse', string]) => settleDuplicates(parsed, ...how);
    expect(settled('skip', '')).toMatchObject({ rows: [['1', 'a'], ['2', 'a'], ['1', 'b']], repeated: 1 });
    expect(settled('skip', 'id')).toMatchObject({ rows: [['1', 'a'], ['2', 'a']], repeated: 2 });
    expect(settled('allow', 'id').rows).toHaveLength(4);
    expect(settled('refuse', '').problems).toEqual([{ line: 5, text: 'repeats line 3', fatal: true }]);
  });

  it('counts what is not sent as no difference', () => {
    const parsed = parseRows('id,note\n1,a\n1,b\n');
    const columns = parsed.columns.map((column) => ({ ...column, used: column.name === 'id' }));
    expect(settleDuplicates({ ...parsed, columns }, 'skip', '').rows).toEqual([['1', 'a']]);
  });
});

describe('columns', () => {
  it('get names that placeholders can use, each once', () => {
    const names = nameColumns(['Company ID', 'id', 'id', '9', '', 'Größe']).map((column) => column.name);
    expect(names).toEqual(['Company_ID', 'id', 'id_2', '_9', 'column5', 'Gr_e']);
  });

  it('with bad names say so', () => {
    const columns = nameColumns(['a', 'b']);
    expect(columnError([{ ...columns[0]!, name: 'b' }, columns[1]!], 0)).toBe('Another column has this name');
    expect(columnError([{ ...columns[0]!, name: '1x' }], 0)).toMatch(/no digit first/);
    expect(columnError(columns, 0)).toBeUndefined();
  });

  it('that are not used are not uploaded', () => {
    const parsed = parseRows('id,secret\n1,x\n');
    const columns = parsed.columns.map((column) => ({ ...column, used: column.name === 'id' }));
    expect(rowsToCsv(columns, parsed.rows)).toBe('id\n1');
  });
});

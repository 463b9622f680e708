import { expect, test } from 'vitest';
import { readFile } from './index';

test('a Postman collection keeps folders, bodies and variables', async () => {
  const file = {
    info: { name: 'c', schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json' },
    item: [
      {
        name: 'billing',
        item: [
          {
            name: 'pay',
            request: {
              method: 'POST',
              url: { raw: '{{base}}/invoices/:id/pay?dry=1', query: [{ key: 'dry', value: '1' }], variable: [{ key: 'id', value: '' }] },
              header: [{ key: 'x', value: 'y', disabled: true }],
              body: { mode: 'raw', raw: '{"a":1}', options: { raw: { language: 'json' } } },
            },
          },
        ],
      },
      { name: 'bare', request: 'https://example.com/x?y=z' },
    ],
  };
  const [pay, bare] = await readFile('c.json', JSON.stringify(file));
  expect(pay).toMatchObject({ folders: ['billing'], name: 'pay', draft: { method: 'POST', path: '/invoices/{{id}}/pay', body: { kind: 'json', text: '{"a":1}' } } });
  expect(pay?.draft.headers).toEqual([{ name: 'x', value: 'y', on: false }]);
  expect(pay?.draft.query).toHaveLength(1);
  expect(bare).toMatchObject({ draft: { method: 'GET', path: '/x', query: [{ name: 'y', value: 'z' }] } });
});

test('a .bru file and an exported Bruno collection are read', async () => {
  const bru = `meta {\n  name: Make thing\n  type: http\n}\n\npost {\n  url: {{host}}/things?a=1\n  body: json\n  auth: none\n}\n\nparams:query {\n  a: 1\n  ~b: 2\n}\n\nheaders {\n  x: y: z\n}\n\nbody:json {\n  {\n    "a": {}\n  }\n}\n`;
  const [made] = await readFile('Make.bru', bru);
  expect(made).toMatchObject({ name: 'Make thing', draft: { method: 'POST', path: '/things', body: { kind: 'json', text: '{\n  "a": {}\n}' } } });
  expect(made?.draft.query.map(({ on }) => on)).toEqual([true, false]);
  expect(made?.draft.headers[0]?.value).toBe('y: z');
  const exported = { name: 'c', items: [{ type: 'folder', name: 'f', items: [{ type: 'http', name: 'r', request: { url: 'http://h/p', method: 'put', params: [], headers: [], body: { mode: 'text', text: 't' } } }] }] };
  expect(await readFile('c.json', JSON.stringify(exported))).toMatchObject([{ folders: ['f'], name: 'r', draft: { method: 'PUT', path: '/p', body: { kind: 'text', text: 't' } } }]);
});

test('OpenAPI becomes a request for each operation, from YAML too, even where schemas go round', async () => {
  const yaml = `openapi: 3.1.0\ninfo: {title: t, version: '1'}\nservers: [{url: https://h/base}]\npaths:\n  /things/{id}:\n    parameters: [{name: id, in: path, required: true, schema: {type: string}}]\n    put:\n      tags: [things]\n      summary: Replace\n      parameters: [{name: q, in: query, schema: {default: 5}}]\n      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Node'}}}}\ncomponents:\n  schemas:\n    Node: {type: object, properties: {name: {type: string, example: n}, child: {$ref: '#/components/schemas/Node'}}}\n`;
  const [put] = await readFile('api.yaml', yaml);
  expect(put).toMatchObject({ folders: ['things'], name: 'Replace', draft: { method: 'PUT', path: '/base/things/{{id}}', query: [{ name: 'q', value: '5', on: false }] } });
  expect(JSON.parse(put?.draft.body.text ?? '').name).toBe('n');
});

test('anything else is refused in words', async () => {
  await expect(readFile('x.json', '{"a":1}')).rejects.toThrow(/no Postman/);
  await expect(readFile('x.json', '"a"')).rejects.toThrow(/neither/);
});

import { describe, expect, it } from 'vitest';
import { type RequestTemplate, renderRequest, templateErrors, templateToWire } from './template';

const template: RequestTemplate = {
  regions: ['eu'],
  service: 'companies',
  instance: 'any',
  method: 'POST',
  path: '/companies/{{id}}/migrate',
  query: [{ key: 1, name: 'by', value: 'me & {{id}}' }],
  headers: [{ key: 2, name: 'X-Note', value: 'row {{id}}' }],
  body: '{"to":"{{to}}"}',
  bodyKind: 'json',
};

describe('the preview of a request', () => {
  it("puts the row's values in, escaped for the place", () => {
    const rendered = renderRequest(template, { id: '1/../2?x#y', to: 'v"2' });
    expect(rendered.url).toBe('/r/eu/companies/companies/1%2F..%2F2%3Fx%23y/migrate?by=me%20%26%201%2F..%2F2%3Fx%23y');
    expect(rendered.headers).toEqual([['X-Note', 'row 1/../2?x#y']]);
    expect(JSON.parse(rendered.body ?? '')).toEqual({ to: 'v"2' });
  });

  it('keeps placeholders that no column fills, and they are errors', () => {
    expect(renderRequest(template, { id: '1' }).body).toBe('{"to":"{{to}}"}');
    expect(templateErrors(template, ['id']).body).toMatch(/no column “to”/);
    expect(templateErrors(template, ['id', 'to'])).toEqual({});
  });

  it('warns when every row would send the same', () => {
    const same = { ...template, path: '/companies', query: [], headers: [], body: '', bodyKind: 'none' as const };
    expect(templateErrors(same, ['id']).path).toMatch(/same request/);
  });

  it('says where JSON is none', () => {
    expect(templateErrors({ ...template, body: '{"to":{{to}}}' }, ['id', 'to']).body).toMatch(/inside quotes/);
  });

  it('goes to the server as jobs have it', () => {
    expect(templateToWire(template)).toEqual({
      region: 'eu',
      service: 'companies',
      instance: 'any',
      method: 'POST',
      path: '/companies/{{id}}/migrate',
      query: { by: 'me & {{id}}' },
      headers: { 'X-Note': 'row {{id}}' },
      body: { to: '{{to}}' },
    });
  });
});

import { describe, expect, it } from 'vitest';
import type { JobSpec } from '../jobs/wire';
import { draftOfJob, draftToJob, rowsOf } from './draft';

/// Opened in the form and saved again.
function again(job: JobSpec): JobSpec {
  const draft = draftOfJob(job);
  return draftToJob(draft, rowsOf(draft));
}

const whole: JobSpec = {
  name: 'companies to v2',
  folder: 'ops',
  description: 'ticket 4711',
  request: {
    regions: ['eu', 'us'], service: 'companies', instance: 'all', method: 'POST', path: '/companies/{{id}}/migrate',
    query: { trace: '{{batch}}' }, headers: { 'x-batch': '{{batch}}' }, body: { to: 'v2', weight: '{{weight|number}}' }, reason: 'ticket 4711',
  },
  input: { csv: 'id,batch,weight\n1,a,10\n2,a,12', key: 'id' },
  plan: {
    waves: [{ count: 1, gate: 'auto', bake: '5m' }, { percent: 60, gate: 'approval' }, { percent: 100 }],
    concurrency: 20, rate_per_second: 50, timeout: '30s',
    stop_when: { failures: 20, failure_rate: 0.05, window: 200 },
    success: { status: ['2xx', '409', '200-204'], body: { '/ok': true, '/count': { gte: 1 }, '/state': 'done', '/code': '7' } },
    idempotent: true,
    retries: { max: 2, backoff: '1s', max_backoff: '2m' },
    regions: { us: { waves: [{ count: 1, gate: 'approval' }, { percent: 100 }], concurrency: 2 } },
  },
};

describe('a saved job in the form', () => {
  it('is saved again as it was, whatever the form shows of it', () => {
    expect(again(whole)).toEqual(whole);
  });

  it('keeps what repeated rows become', () => {
    const job = (duplicates?: 'skip' | 'allow'): JobSpec => ({ ...whole, input: { csv: 'id\n1\n2', ...(duplicates && { duplicates }) } });
    for (const duplicates of ['skip', 'allow', undefined] as const) {
      expect(again(job(duplicates)).input).toEqual(job(duplicates).input);
    }
  });

  it('keeps numbers in lines of JSON numbers, also under another name', () => {
    const job: JobSpec = { ...whole, input: { jsonl: '{"id":1,"batch":"a","weight":10.50}\n{"id":2,"batch":"7","weight":null}' } };
    expect(again(job).input).toEqual({ jsonl: '{"id":1,"batch":"a","weight":10.5}\n{"id":2,"batch":"7","weight":null}' });
    const draft = { ...draftOfJob(job), renamed: { 0: { name: 'company' }, 2: { used: false } } };
    expect(draftToJob(draft, rowsOf(draft)).input?.jsonl).toBe('{"company":1,"batch":"a"}\n{"company":2,"batch":"7"}');
  });

  it('takes columns that stand beside the rows, and not the first row, for names', () => {
    const job: JobSpec = { ...whole, input: { csv: 'a,b\n1,2', columns: ['id', 'batch'] } };
    expect(again(job).input?.csv).toBe('id,batch\na,b\n1,2');
  });

  it('without rows of its own leaves the uploaded ones alone', () => {
    const { input: _, ...job } = whole;
    expect(again(job)).toEqual(job);
  });
});

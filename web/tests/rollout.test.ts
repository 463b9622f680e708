/// What happens to runs that do not simply end, and what the form makes of jobs that others have written.
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { logIn, openPage, screenshot, seriousFindings, useRig } from './rig';

const rig = useRig();

const rows = (count: number) => Array.from({ length: count }, (_, index) => ({ id: String(index + 1) }));
const basic = (name: string) => ({ authorization: `Basic ${btoa(`${name}:${name}-demo`)}` });

async function make(job: object): Promise<string> {
  const answer = await rig.program.post('/api/v1/jobs', { headers: basic('alice'), data: job });
  expect(answer.status(), await answer.text()).toBe(201);
  return (await answer.json()).id;
}

async function counted(page: Page, state: string, count: number): Promise<void> {
  await page.locator(`[data-count="${state}"]`).getByText(String(count), { exact: true }).waitFor({ timeout: 30_000 });
}

async function runIt(page: Page, job: string): Promise<void> {
  await page.goto(`/jobs/${job}`);
  await page.getByRole('button', { name: 'Run it' }).click();
  await page.waitForURL('**/runs/*');
}

test('a gate for approval opens for somebody else only', async () => {
  const job = await make({
    name: 'needs two', folder: 'dev', request: { region: 'eu', service: 'echo', method: 'GET', path: '/look/{{id}}' }, input: { rows: rows(4) },
    plan: { waves: [{ count: 1, gate: 'approval' }, { percent: 100 }] },
  });
  const alice = await openPage(rig);
  await logIn(alice.page, 'alice');
  await runIt(alice.page, job);
  await alice.page.getByText('waiting', { exact: true }).waitFor();
  await alice.page.getByText('Somebody else than who started the run').waitFor();
  await screenshot(alice.page, 'run-approval');
  await alice.page.getByRole('button', { name: 'Open the gate' }).click();
  await alice.page.getByRole('alert').first().waitFor();
  expect(await seriousFindings(alice.page)).toEqual([]);
  await counted(alice.page, 'done', 1);

  const bob = await openPage(rig);
  await logIn(bob.page, 'bob');
  await bob.page.goto(new URL(alice.page.url()).pathname);
  await bob.page.getByRole('button', { name: 'Open the gate' }).click();
  await counted(bob.page, 'done', 4);
  // Alice sees it without doing anything.
  await counted(alice.page, 'done', 4);
  await alice.page.getByText('finished', { exact: true }).waitFor();
  await alice.context.close();
  await bob.context.close();
});

test('a run that stops itself says why and can be resumed; of unknown rows somebody must decide', async () => {
  const { page, context, complaints } = await openPage(rig, { dark: true });
  await logIn(page, 'alice');
  const failing = await make({
    name: 'fails', folder: 'dev', request: { region: 'eu', service: 'echo', method: 'GET', path: '/status/500', query: { id: '{{id}}' } }, input: { rows: rows(9) },
    plan: { concurrency: 1, stop_when: { failures: 3 } },
  });
  await runIt(page, failing);
  await page.getByText('stopped itself', { exact: true }).waitFor({ timeout: 30_000 });
  await counted(page, 'failed', 3);
  await counted(page, 'pending', 6);
  await screenshot(page, 'run-stopped');
  expect(await seriousFindings(page)).toEqual([]);
  await page.getByRole('button', { name: 'Resume' }).click();
  await counted(page, 'failed', 6);
  await page.getByText('stopped itself', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Cancel…' }).click();
  await page.getByRole('button', { name: 'Cancel the run' }).click();
  await counted(page, 'skipped', 3);

  // Sent, and no answer in time: it may have arrived.
  const slow = await make({
    name: 'never answers', folder: 'dev', request: { region: 'eu', service: 'echo', method: 'POST', path: '/sleep/60000', query: { id: '{{id}}' } }, input: { rows: rows(2) },
    plan: { timeout: '300ms' },
  });
  await runIt(page, slow);
  await counted(page, 'unknown', 2);
  await page.getByText('Of 2 nobody knows whether they arrived').waitFor();
  await screenshot(page, 'run-unknown');
  expect(await seriousFindings(page)).toEqual([]);
  await page.getByRole('radiogroup', { name: 'Rows by state' }).getByText('unknown').click();
  await expect.poll(() => page.getByRole('table', { name: 'Rows of the run' }).locator('tbody tr').count()).toBe(2);
  expect(complaints).toEqual([]);
  await context.close();
});

test('a file beyond what the page reads is uploaded as it is', async () => {
  const { page, context, complaints } = await openPage(rig);
  await logIn(page, 'alice');
  const note = 'x'.repeat(1000);
  const buffer = Buffer.from(`id,note\n${Array.from({ length: 9000 }, (_, index) => `${index + 1},${note}`).join('\n')}\n`);
  expect(buffer.length).toBeGreaterThan(8 * 1024 * 1024);
  const big = { name: 'big.csv', mimeType: 'text/csv', buffer };
  const take = async (button: string) => {
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: button }).click()]);
    await chooser.setFiles(big);
  };
  await page.goto('/bulk');
  await take('Choose a file…');
  await page.getByText(/big.csv has .* too much to look at here/).waitFor();

  const job = await make({
    name: 'many rows', folder: 'dev', request: { region: 'eu', service: 'echo', method: 'GET', path: '/look/{{id}}' }, input: { rows: rows(1) }, plan: {},
  });
  await page.goto(`/jobs/${job}?tab=rows`);
  await take('Upload a file…');
  await page.getByText('Uploaded: 9,000 rows').waitFor({ timeout: 45_000 });
  await screenshot(page, 'job-uploaded');
  expect(await seriousFindings(page)).toEqual([]);
  expect(complaints).toEqual([]);
  await context.close();
});

test('whatever a job says, the form saves it again as it was, and shows it', async () => {
  const spec = {
    name: 'all of it', folder: 'dev', description: 'ticket 1',
    request: { regions: ['eu', 'us'], service: 'echo', instance: 'any', method: 'POST', path: '/look/{{id}}', body: { n: '{{n}}' }, reason: 'ticket 1' },
    input: { jsonl: '{"id":"a","n":1}\n{"id":"b","n":2}', key: 'id' },
    plan: {
      waves: [{ count: 1, gate: 'auto', bake: '1s' }, { percent: 100 }],
      concurrency: 2, rate_per_second: 50, timeout: '30s',
      success: { status: ['2xx'], body: { '/method': 'POST' } },
      retries: { max: 2, backoff: '2s', max_backoff: '1m' },
      regions: { us: { concurrency: 1 } },
    },
    schedule: { cron: '0 6 * * 1-5', time_zone: 'Europe/Berlin', missed: 'run_once', overlap: 'queue', paused: true },
  };
  const job = await make(spec);
  const read = async () => (await rig.program.get(`/api/v1/jobs/${job}`, { headers: basic('alice') })).json();
  const before = await read();
  const { page, context, complaints } = await openPage(rig);
  await logIn(page, 'alice');
  await page.goto(`/jobs/${job}?tab=plan`);
  await page.getByLabel('Wait before it').waitFor();
  expect(await page.getByLabel('Wait before it').inputValue()).toBe('2s');
  expect(await page.getByLabel('JSON pointer').inputValue()).toBe('/method');
  expect(await page.getByLabel('Concurrency in us').inputValue()).toBe('1');
  await screenshot(page, 'job-plan-all');
  expect(await seriousFindings(page)).toEqual([]);
  await page.getByRole('tab', { name: 'Rows' }).click();
  expect(await page.getByRole('combobox', { name: 'Compared by' }).inputValue()).toBe('id');
  expect(await page.getByRole('combobox', { name: 'Repeated rows' }).inputValue()).toBe('are a mistake');

  // What runs is what was saved, so a changed form cannot be run.
  await page.getByRole('tab', { name: 'About' }).click();
  await page.getByRole('textbox', { name: 'Description' }).fill('ticket 2');
  expect(await page.getByRole('button', { name: 'Run it' }).isDisabled()).toBe(true);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText('version 2', { exact: true }).waitFor();
  expect(await page.getByRole('button', { name: 'Run it' }).isDisabled()).toBe(false);
  const after = await read();
  for (const part of ['request', 'input', 'plan', 'schedule']) {
    expect(after[part], part).toEqual(before[part]);
  }
  expect(after.description).toBe('ticket 2');
  expect(complaints).toEqual([]);
  await context.close();
});

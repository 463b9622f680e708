/// Bulk work from paste to done in a real browser: dry run, start, what failed, trying again, gates.
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { logIn, openPage, screenshot, seriousFindings, useRig } from './rig';

const rig = useRig();

/// Fills the guided page up to its last step: companies with these ids are to migrate.
async function plan(page: Page, from: number, to: number, preset: string): Promise<void> {
  const next = page.getByRole('button', { name: 'Next', exact: true });
  await page.goto('/bulk');
  await page.getByLabel('Rows').first().fill(Array.from({ length: to - from + 1 }, (_, index) => from + index).join('\n'));
  await next.click();
  await page.getByRole('combobox', { name: 'Region' }).click();
  await page.getByRole('option', { name: 'eu' }).click();
  await page.getByRole('combobox', { name: 'Service' }).click();
  await page.getByRole('option', { name: 'companies' }).click();
  await page.getByRole('textbox', { name: 'Path' }).fill('/companies/{{id}}/migrate');
  await page.getByText('JSON', { exact: true }).click();
  await page.getByRole('textbox', { name: 'Body' }).fill('{"to": "v2"}');
  await next.click();
  await page.getByRole('group', { name: 'Begin with' }).getByRole('button', { name: preset }).click();
  await next.click();
}

/// Waits until so many items are in a state.
async function counted(page: Page, state: string, count: number): Promise<void> {
  await page.locator(`[data-count="${state}"]`).getByText(String(count), { exact: true }).waitFor({ timeout: 30_000 });
}

test('a hundred ids go from paste to done, and what failed is tried again', async () => {
  const { page, context, complaints } = await openPage(rig);
  await logIn(page, 'dave');
  await plan(page, 1, 100, 'All at once');
  await page.getByRole('textbox', { name: 'Name' }).fill('companies to v2');
  await page.getByRole('textbox', { name: 'Reason' }).fill('gradual rollout');

  await page.getByRole('button', { name: 'Dry run' }).click();
  await page.getByText('Dry run: all 100 may be sent').waitFor();
  await screenshot(page, 'run-dry-light');
  expect(await seriousFindings(page)).toEqual([]);

  // The same name again: it is the job that the dry run saved.
  await page.getByRole('button', { name: 'Start', exact: true }).click();
  await page.waitForURL('**/runs/*');
  await page.getByText('running', { exact: true }).first().waitFor();
  await screenshot(page, 'run-running-light');
  expect(await seriousFindings(page)).toEqual([]);
  await page.getByText('finished', { exact: true }).waitFor();
  await counted(page, 'done', 99);
  await counted(page, 'failed', 1);
  await page.getByRole('cell', { name: 'status 500' }).waitFor();
  await page.getByRole('img', { name: 'Of 100: 99 done, 1 failed' }).waitFor();
  await page.locator('.recharts-area').first().waitFor();
  await screenshot(page, 'run-done-light');
  expect(await seriousFindings(page)).toEqual([]);

  // Only the failed row, with its way to the audit log.
  await page.getByRole('radiogroup', { name: 'Rows by state' }).getByText('failed').click();
  const rows = page.getByRole('table', { name: 'Rows of the run' });
  await rows.getByRole('cell', { name: 'id=97' }).waitFor();
  await expect.poll(() => rows.getByRole('row').count()).toBe(2);

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Results' }).click().then(() => page.getByRole('menuitem', { name: 'CSV, joined to your rows' }).click()),
  ]);
  expect(download.suggestedFilename()).toMatch(/^run-[0-9a-f-]+\.csv$/);
  const lines = readFileSync(await download.path(), 'utf8').trim().split('\r\n');
  expect(lines[0]).toMatch(/^id,doorman_index,doorman_state,doorman_status/);
  expect(lines.length).toBe(101);
  expect(lines.find((line) => line.startsWith('97,'))).toMatch(/^97,96,failed,500,/);

  // It fails again, since the service refuses that id for good; the row tells of two tries.
  await page.getByRole('button', { name: 'Retry the 1 failed' }).click();
  await rows.getByRole('row').filter({ hasText: 'id=97' }).getByRole('cell', { name: '2', exact: true }).waitFor({ timeout: 30_000 });
  await page.getByText('finished', { exact: true }).waitFor();
  await counted(page, 'failed', 1);

  await rows.getByRole('link', { name: 'Audit entry of row 97' }).click();
  await page.waitForURL('**/audit/*');
  await page.getByText('gradual rollout').first().waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test('a gate waits for a person, and a run can be paused, resumed and cancelled', async () => {
  for (const [from, dark] of [[1001, false], [2001, true]] as const) {
    const { page, context, complaints } = await openPage(rig, { dark });
    const name = (what: string) => `run-${what}-${dark ? 'dark' : 'light'}`;
    await logIn(page, 'dave');
    await plan(page, from, from + 99, 'Careful');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.waitForURL('**/runs/*');
    await page.getByText('waiting', { exact: true }).waitFor();
    await counted(page, 'done', 5);
    await counted(page, 'pending', 95);
    await page.getByText('Wave 1 of 3').waitFor();
    await screenshot(page, name('waiting'));
    expect(await seriousFindings(page)).toEqual([]);

    await page.getByRole('button', { name: 'Open the gate' }).click();
    await counted(page, 'done', 25);
    await page.getByText('Wave 2 of 3').waitFor();
    await page.getByRole('button', { name: 'Open the gate' }).click();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('paused', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByText('running', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Cancel…' }).click();
    await page.getByRole('button', { name: 'Cancel the run' }).click();
    await page.getByText('cancelled', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Cancel…' }).waitFor({ state: 'detached' });
    await expect.poll(async () => Number(await page.locator('[data-count="skipped"]').textContent())).toBeGreaterThan(0);
    await screenshot(page, name('cancelled'));
    expect(await seriousFindings(page)).toEqual([]);

    await page.goto('/jobs?tab=runs');
    await page.getByText('cancelled', { exact: true }).first().waitFor();
    await screenshot(page, name('list'));
    expect(await seriousFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  }
});

test('a job is edited, its history kept, and a change behind one’s back is told', async () => {
  for (const dark of [false, true]) {
    const { page, context, complaints } = await openPage(rig, { dark });
    const shade = dark ? 'dark' : 'light';
    await logIn(page, 'dave');
    await page.goto('/jobs/new');
    await page.getByRole('textbox', { name: 'Name' }).fill(`look at companies ${shade}`);
    await page.getByRole('tab', { name: 'Rows' }).click();
    await page.getByRole('textbox', { name: 'Rows' }).fill('1\n2\n3');
    await page.getByRole('tab', { name: 'Request' }).click();
    await page.getByRole('combobox', { name: 'Region' }).click();
    await page.getByRole('option', { name: 'eu' }).click();
    await page.getByRole('combobox', { name: 'Service' }).click();
    await page.getByRole('option', { name: 'companies' }).click();
    await page.getByRole('combobox', { name: 'Method' }).click();
    await page.getByRole('option', { name: 'GET' }).click();
    await page.getByRole('textbox', { name: 'Path' }).fill('/companies/{{id}}');
    await page.getByRole('tab', { name: 'Plan' }).click();
    await page.getByRole('group', { name: 'Begin with' }).getByRole('button', { name: 'All at once' }).click();
    await page.getByRole('tab', { name: 'Schedule' }).click();
    await page.getByRole('button', { name: 'Add a schedule' }).click();
    expect(await seriousFindings(page)).toEqual([]);
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('version 1').waitFor();
    for (const tab of ['About', 'Rows', 'Request', 'Plan', 'Schedule']) {
      await page.getByRole('tab', { name: tab }).click();
      await screenshot(page, `job-${tab.toLowerCase()}-${shade}`);
      expect(await seriousFindings(page)).toEqual([]);
    }
    await page.getByText(/^Runs as user:dave/).waitFor();

    // Somebody else saves; then the page's own version is old.
    const path = `/api/v1/jobs/${page.url().split('/').at(-1)}`;
    const moved = await page.evaluate(async (path) => {
      const job = await (await fetch(path)).json();
      const { name, folder, request, input, plan, schedule } = job;
      const answer = await fetch(path, {
        method: 'PUT',
        headers: { 'content-type': 'application/json', 'if-match': `"${job.version}"` },
        body: JSON.stringify({ name, folder, request, input, plan, schedule, description: 'theirs' }),
      });
      return answer.status;
    }, path);
    expect(moved).toBe(200);
    await page.getByRole('tab', { name: 'About' }).click();
    await page.getByRole('textbox', { name: 'Description' }).fill('mine');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('Somebody else has changed the job since you read it.').waitFor();
    await page.reload();
    await page.getByText('version 2').waitFor();
    await page.getByRole('textbox', { name: 'Description' }).fill('mine');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('version 3').waitFor();
    await page.getByRole('tab', { name: 'History' }).click();
    await page.getByRole('row').filter({ hasText: 'description' }).first().waitFor();
    await screenshot(page, `job-history-${shade}`);
    expect(await seriousFindings(page)).toEqual([]);

    await page.getByRole('button', { name: 'Run it' }).click();
    await page.getByText('finished', { exact: true }).waitFor();
    await counted(page, 'done', 3);
    await screenshot(page, `run-small-${shade}`);
    await page.goto('/jobs');
    await page.getByRole('link', { name: `look at companies ${shade}` }).waitFor();
    await screenshot(page, `jobs-list-${shade}`);
    expect(await seriousFindings(page)).toEqual([]);

    await page.getByRole('link', { name: `look at companies ${shade}` }).click();
    await page.getByRole('button', { name: 'Delete…' }).click();
    await page.getByRole('button', { name: 'Delete it' }).click();
    await page.waitForURL('**/jobs');
    await page.getByRole('link', { name: `look at companies ${shade}` }).waitFor({ state: 'detached' });
    expect(complaints).toEqual([]);
    await context.close();
  }
});

/// The audit page in a real browser: filters in the address, hostile text, details, live tail, export.
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { logIn, openPage, screenshot, seriousFindings, useRig } from './rig';

const rig = useRig();

/// Sends a request through the door as a program would.
async function send(path: string, init: { method?: string; body?: string; headers?: Record<string, string> } = {}): Promise<string> {
  const headers = { ...init.headers, authorization: `Basic ${btoa('alice:alice-demo')}` };
  const response = await rig.program.fetch(path, { method: init.method, data: init.body, headers });
  return response.headers()['doorman-audit-id'] ?? '';
}

const rows = (page: Page) => page.getByRole('table', { name: 'Audit entries' }).locator('tbody tr');

test('filters stand in the address, and an address brings them back', async () => {
  await send('/r/eu/echo/first');
  await send('/r/eu/echo/status/503');
  await send('/r/us/companies/companies/7', { method: 'DELETE' });
  const { page, context, complaints } = await openPage(rig);
  await logIn(page, 'alice');
  await page.goto('/audit');
  await rows(page).getByText('/first').waitFor();
  await page.getByText(/Verified up to/).waitFor();
  await screenshot(page, 'audit');
  expect(await seriousFindings(page)).toEqual([]);

  await page.getByLabel('Search', { exact: true }).fill('status/503');
  await page.keyboard.press('Enter');
  await page.waitForURL(/q=status%2F503/);
  await expect.poll(() => rows(page).count()).toBe(1);
  await page.getByRole('button', { name: 'More filters' }).click();
  await page.getByLabel('Region', { exact: true }).fill('us');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Nothing matches' }).waitFor();
  await screenshot(page, 'audit-empty');
  expect(await seriousFindings(page)).toEqual([]);

  await page.goto('/audit?outcome=denied&method=DELETE');
  await rows(page).getByText('/companies/7').waitFor();
  expect(await rows(page).count()).toBe(1);
  await page.getByRole('button', { name: 'Remove Method' }).click();
  await page.waitForURL((url) => url.search === '?outcome=denied');

  await page.goto('/audit?status=9xx');
  await page.getByRole('alert').getByText('status', { exact: true }).waitFor();
  await screenshot(page, 'audit-invalid');
  expect(complaints).toEqual([]);
  await context.close();
});

test('an entry is opened with the keyboard, and hostile text in it is inert', async () => {
  const body = '<img src=x onerror="document.title=\'hacked\'">\u202Egnp.exe\u0007';
  await send('/r/eu/echo/hostile?q=%3Cscript%3E', {
    method: 'POST',
    body,
    headers: { 'content-type': 'text/plain', 'x-note': '<b onmouseover=alert(1)>', 'doorman-reason': 'because <i>I</i> may' },
  });
  for (const dark of [false, true]) {
    const { page, context, complaints } = await openPage(rig, { dark });
    await logIn(page, 'alice');
    await page.goto('/audit?path=/hostile');
    const open = rows(page).getByRole('button').first();
    await open.focus();
    await page.keyboard.press('Enter');
    const drawer = page.getByRole('dialog', { name: 'Audit entry' });
    await drawer.getByLabel('Request body').getByText('<img src=x').waitFor();
    await drawer.getByText('\\u{202E}').waitFor();
    await drawer.getByText('\\u{0007}').waitFor();
    expect(await page.title()).not.toBe('hacked');
    expect(await drawer.locator('img').count()).toBe(0);
    await screenshot(page, `audit-details-${dark ? 'dark' : 'light'}`);
    expect(await seriousFindings(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await drawer.waitFor({ state: 'hidden' });
    expect(new URL(page.url()).searchParams.has('entry')).toBe(false);
    expect(complaints).toEqual([]);
    await context.close();
  }
});

test('a request appears by itself while the log is followed', async () => {
  const { page, context, complaints } = await openPage(rig);
  await logIn(page, 'alice');
  await page.goto('/audit?kind=request');
  await page.getByRole('switch').press('Space');
  await page.getByText('Following', { exact: true }).waitFor();
  const id = await send('/r/eu/echo/while-you-watch');
  await rows(page).getByText('/while-you-watch').waitFor();
  expect(id).not.toBe('');
  // First under way, then with its outcome.
  await rows(page).filter({ hasText: '/while-you-watch' }).getByText('200').waitFor();
  await screenshot(page, 'audit-live');
  expect(await seriousFindings(page)).toEqual([]);
  expect(complaints).toEqual([]);
  await context.close();
});

test('whoever may export gets what the filters show, and others are told why not', async () => {
  const { page, context } = await openPage(rig);
  await logIn(page, 'carol');
  await page.goto('/audit?kind=request');
  await page.getByText('Everybody’s entries').waitFor();
  await page.getByRole('button', { name: 'Export' }).click();
  await screenshot(page, 'audit-export');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: /CSV/ }).click()]);
  expect(new URL(download.url()).search).toBe('?kind=request&format=csv');
  const stream = await download.createReadStream();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks).toString()).toContain('/while-you-watch');
  await context.close();

  const alice = await openPage(rig);
  await logIn(alice.page, 'alice');
  await alice.page.goto('/audit');
  await alice.page.getByRole('button', { name: 'Export' }).hover();
  await alice.page.getByText(/audit:export/).waitFor();
  await alice.context.close();
});

test('a request is sent again after a confirmation, and the answers are compared', async () => {
  const ids = [await send('/r/eu/echo/once-more', { method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } })];
  const { page, context, complaints } = await openPage(rig);
  await logIn(page, 'alice');
  await page.goto('/audit?path=/once-more');
  await rows(page).getByRole('button').first().click();
  await page.getByRole('button', { name: 'Retry…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Retry this request' });
  const again = dialog.getByRole('button', { name: 'Send again' });
  expect(await again.isDisabled()).toBe(true);
  await dialog.getByLabel('Reason').fill('to be sure');
  await dialog.getByRole('checkbox').check();
  await screenshot(page, 'audit-retry');
  expect(await seriousFindings(page)).toEqual([]);
  await again.click();
  await dialog.getByRole('row', { name: /Status 200 200 same/ }).waitFor();
  await screenshot(page, 'audit-retried');
  expect(await seriousFindings(page)).toEqual([]);
  await dialog.getByRole('link', { name: 'The retry in the log' }).click();
  await page.getByRole('heading', { name: 'Audit entry' }).waitFor();
  await page.getByRole('link', { name: ids[0] }).waitFor();
  await page.getByText('to be sure').waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

/// The request page in a real browser, as a newcomer would use it, and against what live services might answer.
import type { Request } from 'playwright-core';
import { expect, test } from 'vitest';
import { answerWith, atService, choose, response } from './journey';
import { logIn, openPage, screenshot, seriousFindings, useRig } from './rig';

const rig = useRig();

test('a first request is sent, shown, and stands in the audit log', async () => {
  for (const dark of [false, true]) {
    const { page, context, complaints } = await atService(rig, 'alice', 'echo', { dark });
    await page.getByLabel('Path', { exact: true }).fill('/hello?from=me');
    await page.getByLabel('Path', { exact: true }).press('Control+Enter');
    await response(page).getByText('200 OK').waitFor();
    await response(page).getByText('"from=me"').waitFor();
    await screenshot(page, `request-${dark ? 'dark' : 'light'}`);
    expect(await seriousFindings(page)).toEqual([]);

    await response(page).getByRole('textbox', { name: 'Search the body' }).fill('HELLO');
    await response(page).getByText('1 of 1').waitFor();
    await response(page).getByRole('tab', { name: 'Timing' }).click();
    await response(page).getByRole('row', { name: /^Region .* [\d.]+ ms/ }).waitFor();
    await screenshot(page, `timing-${dark ? 'dark' : 'light'}`);
    expect(await seriousFindings(page)).toEqual([]);

    await response(page).getByRole('link', { name: 'Audit entry' }).click();
    await page.waitForURL('**/audit/*');
    expect(complaints).toEqual([]);
    await context.close();
  }
});

test('a denial names the policy and what to do, and a missing reason leads to its field', async () => {
  const { page, context } = await openPage(rig);
  await logIn(page, 'bob');
  await choose(page, 'Region', /us/);
  await choose(page, 'Service', /companies/);
  await page.getByLabel('Path', { exact: true }).fill('/companies/7');
  await page.getByRole('combobox', { name: 'Method' }).fill('DELETE');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await response(page).getByText('reason_required').waitFor();
  expect(await page.getByRole('textbox', { name: 'Reason' }).evaluate((field) => field === document.activeElement)).toBe(true);
  await screenshot(page, 'reason-required');
  expect(await seriousFindings(page)).toEqual([]);
  await page.keyboard.type('cleaning up');
  await page.keyboard.press('Control+Enter');
  await response(page).getByText('reason_required').waitFor({ state: 'detached' });
  await context.close();
});

test('a request that takes too long is cancelled by Escape', async () => {
  const { page, context } = await atService(rig, 'alice');
  await page.getByLabel('Path', { exact: true }).fill('/sleep/60000');
  await page.keyboard.press('Control+Enter');
  await response(page).getByText('waiting for the answer').waitFor();
  await page.keyboard.press('Escape');
  await response(page).getByText('Cancelled by you').waitFor();
  await context.close();
});

test('events, WebSockets and all instances have their own views', async () => {
  const { page, context, complaints } = await atService(rig, 'alice');
  const path = page.getByLabel('Path', { exact: true });
  await path.fill('/events');
  await path.press('Control+Enter');
  await response(page).getByRole('cell', { name: 'tick' }).nth(2).waitFor();
  await screenshot(page, 'events');
  await page.keyboard.press('Escape');

  await path.fill('/ws');
  await page.getByRole('button', { name: 'Connect' }).click();
  await response(page).getByText('open', { exact: true }).waitFor();
  await response(page).getByRole('textbox', { name: 'Message' }).fill('ping over the door');
  await response(page).getByRole('button', { name: 'Send message' }).click();
  await response(page).getByText('↓ came').first().waitFor();
  await screenshot(page, 'websocket');
  await page.keyboard.press('Escape');

  await path.fill('/hello');
  await choose(page, 'Instance', /all, side/);
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await response(page).getByText('No instance stands out among 2').waitFor();
  expect(await seriousFindings(page)).toEqual([]);
  expect(complaints).toEqual([]);
  await context.close();
});

test('tabs survive a reload, without tokens and secret headers', async () => {
  const { page, context } = await atService(rig, 'alice');
  await page.getByLabel('Path', { exact: true }).fill('/kept');
  await page.getByRole('tab', { name: 'Headers' }).first().click();
  await page.getByLabel('Name of header 1').fill('X-Api-Key');
  await page.getByLabel('Value of header 1').fill('swordfish');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await response(page).getByText('200 OK').waitFor();
  await page.reload();
  await page.getByRole('tab', { name: 'GET echo /kept' }).waitFor();
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href]));
  expect(stored).toContain('X-Api-Key');
  expect(stored).not.toMatch(/swordfish|eyJ/);
  await context.close();
});

test('a pasted curl command fills the form, and code comes out again', async () => {
  const { page, context, complaints } = await atService(rig, 'alice');
  await page.evaluate(() => navigator.clipboard.writeText(`curl -X POST 'http://x/r/us/echo/made' -H 'x-a: b' --json '{"n":1}'`));
  await page.getByLabel('Path', { exact: true }).focus();
  await page.keyboard.press('Control+v');
  await page.getByRole('tab', { name: 'POST echo /made' }).waitFor();
  await page.getByRole('textbox', { name: 'JSON body' }).waitFor();
  await screenshot(page, 'curl-pasted');
  expect(await seriousFindings(page)).toEqual([]);
  await page.getByRole('button', { name: 'Code', exact: true }).click();
  await page.getByText('$DOORMAN_TOKEN').waitFor();
  await screenshot(page, 'code');
  expect(await seriousFindings(page)).toEqual([]);
  expect(complaints).toEqual([]);
  await context.close();
});

test('a request is saved, found, changed and has a history', async () => {
  const { page, context, complaints } = await atService(rig, 'alice');
  await page.getByLabel('Path', { exact: true }).fill('/saved');
  await page.keyboard.press('Control+s');
  const dialog = page.getByRole('dialog', { name: 'Save request' });
  await dialog.getByLabel('Name').fill('My saved one');
  await dialog.getByLabel('Folder', { exact: true }).fill('team/things');
  await screenshot(page, 'save');
  await dialog.getByRole('button', { name: 'Save', exact: true }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('complementary', { name: 'Saved requests' }).getByText('team').waitFor();
  await page.getByLabel('Path', { exact: true }).fill('/saved/again');
  await page.keyboard.press('Control+s');
  await page.getByText('Saved “My saved one”.').waitFor();

  await page.getByRole('link', { name: 'Collections' }).click();
  await page.getByRole('button', { name: 'History' }).click();
  await page.getByText('Version 1').waitFor();
  await screenshot(page, 'collections-history');
  expect(await seriousFindings(page)).toEqual([]);
  expect(complaints).toEqual([]);
  await context.close();
});

test('ten megabytes of JSON are shown, searched and scrolled while the page stays alive', async () => {
  const { page, context, complaints } = await atService(rig, 'alice');
  const rows = Array.from({ length: 100_000 }, (_, id) => ({ id, name: `company ${id}`, note: 'x'.repeat(60) }));
  await answerWith(page, 'application/json', JSON.stringify(rows));
  await page.evaluate(() => {
    // The longest time in which the page did nothing else.
    const state = globalThis as unknown as { longest: number };
    state.longest = 0;
    let last = performance.now();
    setInterval(() => {
      state.longest = Math.max(state.longest, performance.now() - last);
      last = performance.now();
    }, 10);
  });
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await response(page).getByText('"company 0"').waitFor();
  await response(page).getByRole('textbox', { name: 'Search the body' }).fill('company 99999');
  await response(page).getByText('1 of 1').waitFor();
  await response(page).getByText('company 99999').waitFor();
  await response(page).getByText('Tree', { exact: true }).click();
  await response(page).getByRole('treeitem').nth(5).waitFor();
  await screenshot(page, 'huge');
  const drawn = await page.evaluate(() => document.querySelectorAll('.line').length);
  expect(drawn).toBeLessThan(500);
  console.log(`the page was busy for at most ${await page.evaluate(() => Math.round((globalThis as unknown as { longest: number }).longest))} ms`);
  expect(complaints).toEqual([]);
  await context.close();
});

test('nothing of a hostile body runs, neither as text nor in the sandbox', async () => {
  const { page, context } = await atService(rig, 'alice');
  const hostile = `<script>top.hacked = parent.hacked = 1; fetch('/auth/v1/session-token', {method: 'POST'})</script><img src=x onerror="parent.hacked=1"><a href="javascript:parent.hacked=1" id="a">x</a><form action="/auth/v1/logout" method="post"><button>b</button></form>`;
  await answerWith(page, 'text/html', hostile);
  const asked: Request[] = [];
  page.on('request', (request) => request.frame() !== page.mainFrame() && !request.url().startsWith('about:') && asked.push(request));
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await response(page).getByText('parent.hacked').waitFor();
  await response(page).getByText('Preview', { exact: true }).click();
  await page.frameLocator('iframe').locator('button').waitFor({ state: 'attached' });
  await screenshot(page, 'hostile');
  expect(await page.evaluate(() => 'hacked' in globalThis)).toBe(false);
  // Chromium may tell of what it looks for ahead; then its policy has stopped it, and nothing left.
  for (const request of asked) {
    expect([await request.response(), request.failure()?.errorText], request.url()).toEqual([null, 'csp']);
  }
  await context.close();
});

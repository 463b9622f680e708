/// The access page in a real browser, as different people see it.
import { expect, test } from 'vitest';
import { logIn, openPage, screenshot, seriousFindings, useRig } from './rig';

const rig = useRig();

test('alice sees who she is, and policy tells her what she may do and why not', async () => {
  const { page, context, complaints } = await openPage(rig);
  await logIn(page, 'alice');
  await page.goto('/access');
  await page.getByText('Alice Archer').first().waitFor();
  await page.getByText('companies, echo').first().waitFor();
  expect(await page.getByRole('tab', { name: 'Service accounts' }).count()).toBe(0);

  await page.getByLabel('Region').first().click();
  await page.getByRole('option', { name: 'us' }).click();
  await page.getByRole('textbox', { name: 'Service' }).fill('companies');
  await page.getByLabel('Method').first().click();
  await page.getByRole('option', { name: 'DELETE' }).click();
  await page.getByRole('button', { name: 'Ask policy' }).click();
  await page.getByText('You may not send DELETE us/companies/').waitFor();
  await page.getByRole('cell', { name: 'developers-companies-read' }).waitFor();
  await screenshot(page, 'access-alice');
  expect(await seriousFindings(page)).toEqual([]);

  await page.getByLabel('Method').first().click();
  await page.getByRole('option', { name: 'GET' }).click();
  await page.getByRole('button', { name: 'Ask policy' }).click();
  await page.getByText('You may send GET us/companies/').waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test('a token is shown once, works, and is revoked', async () => {
  const { page, context, complaints } = await openPage(rig);
  await logIn(page, 'alice');
  await page.goto('/access?tab=tokens');
  await page.getByRole('heading', { name: 'No tokens' }).waitFor();
  await screenshot(page, 'access-tokens-empty');
  await page.getByRole('button', { name: 'New token' }).click();
  await page.getByLabel('Name').fill('nightly report');
  await page.getByLabel('Methods').first().click();
  await page.getByRole('option', { name: 'GET' }).click();
  await page.keyboard.press('Escape');
  await screenshot(page, 'access-token-new');
  expect(await seriousFindings(page)).toEqual([]);
  await page.getByRole('button', { name: 'Make it' }).click();
  const secret = (await page.getByLabel('The secret').textContent()) ?? '';
  await screenshot(page, 'access-token-made');
  const call = async (method: string) =>
    (await rig.program.fetch('/r/eu/echo/x', { method, headers: { authorization: `Bearer ${secret}` } })).status();
  expect(await call('GET')).toBe(200);
  expect(await call('POST')).toBe(403);
  await page.getByRole('button', { name: 'I have it' }).click();
  expect(await page.content()).not.toContain(secret);

  await page.getByRole('button', { name: 'Revoke nightly report' }).click();
  await page.getByRole('button', { name: 'Revoke it' }).click();
  await page.getByRole('heading', { name: 'No tokens' }).waitFor();
  expect(await call('GET')).toBe(401);
  expect(complaints).toEqual([]);
  await context.close();
});

test('erin manages service accounts and sees everybody’s sessions', async () => {
  const { page, context, complaints } = await openPage(rig, { dark: true });
  await logIn(page, 'erin');
  await page.goto('/access?tab=service-accounts');
  await page.getByText('reports-ui', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'New service account' }).click();
  await page.getByLabel('Name').fill('billing');
  await page.getByLabel('Description').fill('Sends invoices');
  await page.getByRole('button', { name: 'Make it' }).click();
  const secret = (await page.getByLabel('The secret').textContent()) ?? '';
  const basic = async () =>
    (await rig.program.get('/auth/v1/me', { headers: { authorization: `Basic ${btoa(`billing:${secret}`)}` } })).status();
  expect(await basic()).toBe(200);
  await screenshot(page, 'access-account-made');
  await page.getByRole('button', { name: 'I have it' }).click();
  await screenshot(page, 'access-accounts');
  expect(await seriousFindings(page)).toEqual([]);

  await page.getByRole('button', { name: 'Change billing' }).click();
  await page.getByRole('menuitem', { name: 'Disable…' }).click();
  await page.getByRole('button', { name: 'Disable it' }).click();
  await page.getByText('disabled', { exact: true }).waitFor();
  expect(await basic()).toBe(401);

  await page.getByRole('tab', { name: 'Sessions' }).click();
  await page.getByText('Everybody’s', { exact: true }).click();
  await page.getByText('user:erin').first().waitFor();
  await screenshot(page, 'access-sessions');
  expect(await seriousFindings(page)).toEqual([]);

  await page.getByRole('tab', { name: 'Me and my rights' }).click();
  await page.getByLabel('Who', { exact: true }).fill('bob');
  await page.getByLabel('Region').first().fill('eu');
  await page.getByRole('textbox', { name: 'Service' }).fill('echo');
  await page.getByRole('button', { name: 'Ask policy' }).click();
  await page.getByText(/bob may (not )?send GET eu\/echo/).waitFor();
  await screenshot(page, 'access-erin');
  expect(await seriousFindings(page)).toEqual([]);
  expect(complaints).toEqual([]);
  await context.close();
});

test('mallory learns that nothing is permitted, and how that comes', async () => {
  const { page, context } = await openPage(rig);
  await logIn(page, 'mallory');
  await page.goto('/access');
  await page.getByText('policies that name groups give you nothing').waitFor();
  await page.getByText('No policy names you or a group of yours').waitFor();
  await screenshot(page, 'access-mallory');
  expect(await seriousFindings(page)).toEqual([]);
  await context.close();
});

/// Bringing requests along: from Postman, Bruno, OpenAPI and curl.
import { expect, test } from 'vitest';
import { atService, request, sendTo } from './journey';
import { screenshot, seriousFindings, useRig } from './rig';

const rig = useRig();

const POSTMAN = {
  info: { name: 'c', schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json' },
  item: [
    {
      name: 'billing',
      item: [
        { name: 'pay', request: { method: 'POST', url: 'https://h/invoices/7/pay', header: [{ key: 'Authorization', value: 'Bearer swordfish' }], body: { mode: 'raw', raw: '{"a":1}', options: { raw: { language: 'json' } } } } },
        { name: 'look', request: 'https://h/invoices/7' },
      ],
    },
  ],
};
const BRUNO = 'meta {\n  name: Make thing\n  type: http\n}\n\npost {\n  url: {{host}}/things?a=1\n  body: json\n}\n\nbody:json {\n  {"b": 2}\n}\n';
const OPENAPI = "openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths:\n  /things/{id}:\n    get: {tags: [things], summary: Look at a thing, parameters: [{name: id, in: path, required: true, schema: {type: string}}]}\n";

const file = (name: string, text: string) => ({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(text) });

test('files of Postman, Bruno and OpenAPI become a collection, and what is none is told', async () => {
  const { page, context, complaints } = await atService(rig, 'alice');
  await page.getByRole('button', { name: 'Import', exact: true }).last().click();
  const dialog = page.getByRole('dialog', { name: 'Import' });
  await dialog.getByRole('tab', { name: 'Postman, Bruno, OpenAPI' }).click();
  const choose = async (files: ReturnType<typeof file>[]) => {
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), dialog.getByRole('button', { name: /^Files/ }).click()]);
    await chooser.setFiles(files);
  };
  await choose([file('nothing.json', '{"a":1}')]);
  await dialog.getByRole('alert').getByText(/no Postman/).waitFor();
  await choose([file('c.json', JSON.stringify(POSTMAN)), file('Make.bru', BRUNO), file('api.yaml', OPENAPI)]);
  await dialog.getByText('4 requests').waitFor();
  await dialog.getByText('billing / pay (POST /invoices/7/pay)').waitFor();
  await screenshot(page, 'import-files');
  expect(await seriousFindings(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Import', exact: true }).click();
  await dialog.waitFor({ state: 'detached' });

  const side = page.getByRole('complementary', { name: 'Saved requests' });
  await side.getByText('Make thing').waitFor();
  await side.getByText('Look at a thing').waitFor();
  await side.getByText('pay', { exact: true }).click();
  // Where it goes is this system's matter, so that is still to be chosen.
  await page.getByRole('tab', { name: /^pay/ }).waitFor();
  expect(await page.getByLabel('Path', { exact: true }).inputValue()).toBe('/invoices/7/pay');
  await request(page).getByRole('tab', { name: 'Body (json)' }).waitFor();
  const stored = await rig.program.get('/api/v1/collections', { headers: { authorization: `Basic ${btoa('alice:alice-demo')}` } });
  expect(await stored.text()).not.toContain('swordfish');
  expect(complaints).toEqual([]);
  await context.close();
});

test('a curl command fills the form through the dialog, without its credentials, and goes out', async () => {
  const { page, context, complaints } = await atService(rig, 'alice');
  await page.getByRole('button', { name: 'Import', exact: true }).last().click();
  const dialog = page.getByRole('dialog', { name: 'Import' });
  const command = dialog.getByRole('textbox', { name: 'Command' });
  await command.fill('this is no curl');
  await dialog.getByRole('button', { name: 'Fill the form' }).click();
  await dialog.getByRole('alert').waitFor();
  await command.fill(`curl 'http://x/r/eu/echo/pasted?a=1' -X PUT -H 'Authorization: Bearer swordfish' -H 'X-Note: n' --data-raw '{"k":"v"}' -H 'content-type: application/json'`);
  await screenshot(page, 'import-curl');
  await dialog.getByRole('button', { name: 'Fill the form' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('tab', { name: /^PUT echo \/pasted/ }).waitFor();
  expect(await page.content()).not.toContain('swordfish');
  await sendTo(page, '/pasted');
  expect(complaints).toEqual([]);
  await context.close();
});

test('what was sent stands in the history, and an entry of the log is changed and sent again', async () => {
  const { page, context, complaints } = await atService(rig, 'alice');
  await page.getByRole('textbox', { name: 'Reason' }).fill('to look');
  await sendTo(page, '/remember?me=1');
  await page.getByText('History', { exact: true }).click();
  const side = page.getByRole('complementary', { name: 'Saved requests' });
  await side.getByText('/remember').first().waitFor();
  await screenshot(page, 'history');
  expect(await seriousFindings(page)).toEqual([]);
  await page.keyboard.press('Alt+n');
  await side.getByText('/remember').first().click();
  await page.getByRole('tab', { name: 'GET echo /remember' }).nth(1).waitFor();
  expect(await page.getByRole('textbox', { name: 'Reason' }).inputValue()).toBe('to look');
  expect(await page.getByLabel('Value of parameter 1').inputValue()).toBe('1');

  await page.goto('/audit?path=/remember');
  await page.getByRole('table', { name: 'Audit entries' }).locator('tbody tr').first().getByRole('button').click();
  await page.getByRole('button', { name: 'Change and send' }).click();
  await page.waitForURL('**/request');
  await page.getByRole('tab', { name: 'GET echo /remember' }).nth(2).waitFor();
  await sendTo(page, '/remembered');
  expect(complaints).toEqual([]);
  await context.close();
});

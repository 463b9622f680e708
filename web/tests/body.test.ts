/// Bodies of every kind, as they are sent and as they are shown; and variables in them.
import { expect, test } from 'vitest';
import { answerWith, atService, echoed, request, response, sendTo } from './journey';
import { screenshot, seriousFindings, useRig } from './rig';

const rig = useRig();

test('a multipart form with a file, a form and a raw file arrive as they were written', async () => {
  const { page, context, complaints } = await atService(rig, 'alice');
  await page.getByRole('combobox', { name: 'Method' }).fill('POST');
  await request(page).getByRole('tab', { name: 'Body' }).click();
  await page.getByText('Multipart', { exact: true }).click();
  await page.getByLabel('Name of part 1').fill('note');
  await page.getByLabel('Value of part 1').fill('with a file');
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'File for part 2' }).click()]);
  await chooser.setFiles({ name: 'ids.csv', mimeType: 'text/csv', buffer: Buffer.from('id\n1\n') });
  await request(page).getByText('ids.csv').waitFor();
  await screenshot(page, 'body-multipart');
  expect(await seriousFindings(page)).toEqual([]);
  await sendTo(page, '/upload');
  const multipart = await echoed(page);
  expect(multipart.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
  expect(multipart.body).toMatch(/name="note"\r\n\r\nwith a file\r\n/);
  expect(multipart.body).toMatch(/name="file"; filename="ids.csv"\r\nContent-Type: text\/csv\r\n\r\nid\n1\n/);

  await page.getByText('Form', { exact: true }).click();
  await page.getByLabel('Name of field 1').fill('a b');
  await page.getByLabel('Value of field 1').fill('1&2');
  await sendTo(page, '/form');
  const form = await echoed(page);
  expect([form.headers['content-type'], form.body]).toEqual(['application/x-www-form-urlencoded', 'a+b=1%262']);

  await page.getByText('File', { exact: true }).click();
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await page.getByText('Choose the file to send.').waitFor();
  const [raw] = await Promise.all([page.waitForEvent('filechooser'), request(page).getByRole('button', { name: /^File/ }).click()]);
  await raw.setFiles({ name: 'note.txt', mimeType: 'text/plain', buffer: Buffer.from('as it is') });
  await sendTo(page, '/file');
  const file = await echoed(page);
  expect([file.headers['content-type'], file.body]).toEqual(['text/plain', 'as it is']);
  expect(complaints).toEqual([]);
  await context.close();
});

test('binary answers are shown in hex, and images as images, also hostile ones', async () => {
  const { page, context, complaints } = await atService(rig, 'alice');
  await sendTo(page, '/bytes/40');
  const hex = response(page).getByRole('region', { name: 'Body in hex' });
  await hex.getByText('00000020').waitFor();
  expect(await hex.locator('.line').count()).toBe(3);
  await screenshot(page, 'body-hex');
  expect(await seriousFindings(page)).toEqual([]);

  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40" onload="top.hacked=1"><script>top.hacked=1</script><rect width="60" height="40" fill="teal"/></svg>`;
  await answerWith(page, 'image/svg+xml', svg);
  await sendTo(page, '/logo', '200');
  const image = response(page).getByRole('img', { name: 'The answer' });
  await expect.poll(() => image.evaluate((node: HTMLImageElement) => node.naturalWidth)).toBe(60);
  expect(await page.evaluate(() => 'hacked' in globalThis)).toBe(false);
  await screenshot(page, 'body-image');
  expect(await seriousFindings(page)).toEqual([]);
  const [download] = await Promise.all([page.waitForEvent('download'), response(page).getByRole('button', { name: 'Download' }).click()]);
  expect(download.suggestedFilename()).toBe('GET-echo-logo.svg');
  expect(complaints).toEqual([]);
  await context.close();
});

test('variables of the chosen environment are put in, and secret ones are never written down', async () => {
  const { page, context, complaints } = await atService(rig, 'alice');
  await page.getByLabel('Path', { exact: true }).fill('/{{thing}}/1');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await page.getByRole('alert').getByText('No value for {{thing}}').waitFor();

  await page.getByRole('button', { name: 'No environment' }).click();
  const dialog = page.getByRole('dialog', { name: 'Variables' });
  await dialog.getByRole('button', { name: 'New environment' }).click();
  await dialog.getByLabel('Name', { exact: true }).fill('staging');
  await dialog.getByLabel('Name of variable 1').fill('thing');
  await dialog.getByLabel('Value of variable 1').fill('com panies');
  await dialog.getByLabel('Name of variable 2').fill('key');
  await dialog.getByRole('group', { name: 'variable 2' }).getByLabel('Secret').check();
  await dialog.getByLabel('Value of variable 2').fill('swordfish');
  await screenshot(page, 'environments');
  expect(await seriousFindings(page)).toEqual([]);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'staging' }).waitFor();
  await request(page).getByText('/r/eu/echo/com%20panies/1').waitFor();
  await request(page).getByRole('tab', { name: 'Headers' }).click();
  await page.getByLabel('Name of header 1').fill('x-key');
  await page.getByLabel('Value of header 1').fill('{{key}}');
  await sendTo(page, '/{{thing}}/1');
  const seen = await echoed(page);
  expect([seen.path, seen.headers['x-key']]).toEqual(['/com%20panies/1', 'swordfish']);

  await page.reload();
  await page.getByRole('button', { name: 'staging' }).click();
  expect(await dialog.getByLabel('Value of variable 1').inputValue()).toBe('com panies');
  expect(await dialog.getByLabel('Value of variable 2').inputValue()).toBe('');
  expect(await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]))).not.toContain('swordfish');
  await dialog.getByRole('button', { name: 'Delete environment' }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'No environment' }).waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test('bodies outlive a reload, the browser only if asked, and nothing outlives a logout', async () => {
  const { page, context } = await atService(rig, 'alice');
  await request(page).getByRole('tab', { name: 'Body' }).click();
  await page.getByText('Text', { exact: true }).click();
  await page.getByRole('textbox', { name: 'Text body' }).fill('only here');
  const kept = () => page.evaluate(() => [localStorage.getItem('doorman.tabs') ?? '', sessionStorage.getItem('doorman.tabs') ?? '']);
  await expect.poll(async () => (await kept())[1]).toContain('only here');
  expect((await kept())[0]).toContain('echo');
  expect((await kept())[0]).not.toContain('only here');
  await page.reload();
  await request(page).getByRole('tab', { name: 'Body (text)' }).click();
  await request(page).getByText('only here').waitFor();

  await page.getByRole('switch', { name: 'Keep bodies in this browser' }).press('Space');
  await expect.poll(async () => (await kept())[0]).toContain('only here');
  await page.getByRole('switch', { name: 'Keep bodies in this browser' }).press('Space');
  await expect.poll(async () => (await kept())[0]).not.toContain('only here');

  await page.getByRole('button', { name: 'Alice Archer' }).click();
  await page.getByRole('menuitem', { name: 'Log out' }).click();
  await page.getByLabel('User name').waitFor();
  expect(await kept()).toEqual(['', '']);
  await context.close();
});

/// The guided bulk page in a real browser, up to the start.
import { expect, test } from 'vitest';
import { logIn, openPage, screenshot, seriousFindings, useRig } from './rig';

const rig = useRig();

test('a hundred pasted ids become a planned rollout whose requests can be looked at', async () => {
  for (const dark of [false, true]) {
    const { page, context, complaints } = await openPage(rig, { dark });
    const name = (step: string) => `bulk-${step}-${dark ? 'dark' : 'light'}`;
    const next = page.getByRole('button', { name: 'Next', exact: true });
    await logIn(page, 'dave');
    await page.goto('/bulk');
    await next.click();
    await page.getByText('Paste at least one row.').waitFor();
    await page.getByLabel('Rows').first().fill(Array.from({ length: 100 }, (_, index) => index + 1).join('\n'));
    await page.getByText('100 rows, 1 column').waitFor();
    await screenshot(page, name('rows'));
    expect(await seriousFindings(page)).toEqual([]);

    await next.click();
    await page.getByRole('combobox', { name: 'Region' }).click();
    await page.getByRole('option', { name: 'eu' }).click();
    await page.getByRole('combobox', { name: 'Service' }).click();
    await page.getByRole('option', { name: 'companies' }).click();
    await page.getByRole('textbox', { name: 'Path' }).fill('/companies/');
    await page.getByRole('button', { name: '{{id}}' }).click();
    await page.keyboard.type('/migrate');
    await page.getByText('/r/eu/companies/companies/1/migrate').waitFor();
    await page.getByRole('button', { name: 'Next row' }).click();
    await page.getByText('/r/eu/companies/companies/2/migrate').waitFor();
    await screenshot(page, name('request'));
    expect(await seriousFindings(page)).toEqual([]);

    await next.click();
    await page.getByRole('img', { name: 'Waves of 5, 20, 75 rows' }).waitFor();
    await screenshot(page, name('plan'));
    expect(await seriousFindings(page)).toEqual([]);

    await next.click();
    expect(await page.getByRole('combobox', { name: 'Folder' }).or(page.getByRole('textbox', { name: 'Folder' })).first().inputValue()).toBe('ops');
    await screenshot(page, name('start'));
    expect(await seriousFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  }
});

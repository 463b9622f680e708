/// Every page as somebody finds it, in both themes and narrow: nothing serious for axe, nothing that scrolls sideways,
/// and a policy that lets nothing in.
import { expect, test } from 'vitest';
import { logIn, openPage, screenshot, seriousFindings, useRig } from './rig';

const rig = useRig();

const PAGES: { path: string; ready: string }[] = [
  { path: '/request', ready: 'Nothing sent yet' },
  { path: '/collections', ready: 'No saved requests yet' },
  { path: '/audit', ready: 'Verified up to' },
  { path: '/bulk', ready: 'One id a line' },
  { path: '/jobs', ready: 'No jobs that you may see' },
  { path: '/jobs?tab=runs', ready: 'No runs yet' },
  { path: '/jobs/new', ready: 'Decides who may see' },
  { path: '/jobs/new?tab=schedule', ready: 'Add a schedule' },
  { path: '/access', ready: 'Services that you may reach' },
  { path: '/access?tab=sessions', ready: 'this one' },
  { path: '/access?tab=tokens', ready: 'No tokens' },
  { path: '/access?region=us&service=companies&method=DELETE&path=%2Fcompanies%2F7', ready: 'You may not send DELETE us/companies/companies/7' },
  { path: '/nowhere', ready: 'There is no such page' },
];

test('each page is readable in light and dark, also at 1024 pixels', async () => {
  for (const dark of [false, true]) {
    const { page, context, complaints } = await openPage(rig, { dark });
    await page.setViewportSize({ width: 1024, height: 720 });
    await logIn(page, 'alice');
    for (const { path, ready } of PAGES) {
      await page.goto(path);
      await page.getByText(ready).first().waitFor();
      await screenshot(page, `page${path.replace(/\W+/g, '-')}-${dark ? 'dark' : 'light'}`);
      expect(await seriousFindings(page), path).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), path).toBeLessThanOrEqual(0);
    }
    expect(complaints).toEqual([]);
    await context.close();
  }
}, 180_000);

test('the policy of pages allows nothing inline, and no style or script of others', async () => {
  const answer = await rig.program.get('/request', { headers: { accept: 'text/html' } });
  const policy = answer.headers()['content-security-policy'] ?? '';
  expect(policy).not.toMatch(/unsafe|\*|http:|https:/);
  expect(policy).toMatch(/default-src 'none'; script-src 'self';/);
  expect(policy).toMatch(/frame-ancestors 'none'/);

  const { page, context } = await openPage(rig);
  await logIn(page, 'alice');
  const ran = await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'globalThis.ran = true';
    document.body.append(script);
    document.body.insertAdjacentHTML('beforeend', '<img src="data:," onerror="globalThis.ran = true">');
    return new Promise((resolve) => setTimeout(() => resolve('ran' in globalThis), 300));
  });
  expect(ran).toBe(false);
  await context.close();
});

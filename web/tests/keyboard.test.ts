/// The way of a newcomer without a mouse, from the login to the entry in the log.
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { request, response } from './journey';
import { openPage, useRig } from './rig';

const rig = useRig();

/// Presses Tab until a control of that name has the focus.
async function tabTo(page: Page, name: RegExp): Promise<void> {
  const seen: string[] = [];
  for (let step = 0; step < 60; step += 1) {
    const focused = await page.evaluate(() => {
      const at = document.activeElement as (HTMLElement & { labels?: NodeListOf<HTMLLabelElement> }) | null;
      return [at?.getAttribute('aria-label'), at?.labels?.[0]?.textContent, at?.textContent].find((text) => text) ?? '';
    });
    seen.push(focused);
    if (name.test(focused)) {
      return;
    }
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab never came to ${name}: ${seen.join(', ')}`);
}

async function pick(page: Page, label: RegExp, option: string): Promise<void> {
  await tabTo(page, label);
  await page.keyboard.type(option);
  await page.getByRole('option', { name: option }).first().waitFor();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
}

test('the first request is sent, resized, looked at and found in the log by keyboard alone', async () => {
  const { page, context, complaints } = await openPage(rig);
  await page.goto('/');
  await page.getByLabel('User name').waitFor();
  await page.keyboard.type('alice');
  await page.keyboard.press('Tab');
  await page.keyboard.type('alice-demo');
  await page.keyboard.press('Enter');
  await page.getByRole('navigation', { name: 'Pages' }).waitFor();

  // Past the navigation in one step.
  await page.keyboard.press('Tab');
  await tabTo(page, /^Skip to content$/);
  await page.keyboard.press('Enter');
  await page.getByLabel('Region').first().waitFor();
  await pick(page, /^Region$/, 'eu');
  await pick(page, /^Service$/, 'echo');
  await pick(page, /^Instance$/, 'echo-2');
  await tabTo(page, /^Path$/);
  await page.keyboard.press('Control+a');
  await page.keyboard.type('/by-keyboard');
  await page.keyboard.press('Enter');
  await response(page).getByText('200 OK').waitFor();
  await response(page).getByText('"echo-2"').first().waitFor();

  // What is sent and what came share the room as one likes.
  const height = async () => (await request(page).boundingBox())?.height ?? 0;
  const before = await height();
  await page.getByRole('separator').focus();
  await page.keyboard.press('Shift+ArrowUp');
  await expect.poll(height).toBeLessThan(before - 20);

  await tabTo(page, /^Audit entry$/);
  await page.keyboard.press('Enter');
  await page.waitForURL('**/audit/*');
  await page.getByText('/by-keyboard').first().waitFor();

  // A second tab of the request page, and closed again.
  await page.keyboard.press('Control+k');
  await page.locator('input[aria-label="Search commands"]:focus').waitFor();
  await page.keyboard.type('request');
  await page.getByText('Go to Request').waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL('**/request');
  await page.locator('input[aria-label="Search commands"]').waitFor({ state: 'detached' });
  const tabs = page.getByRole('tablist', { name: 'Open requests' }).getByRole('tab');
  await page.keyboard.press('Alt+n');
  await expect.poll(() => tabs.count()).toBe(2);
  await tabs.last().focus();
  await page.keyboard.press('Delete');
  await expect.poll(() => tabs.count()).toBe(1);
  expect(complaints).toEqual([]);
  await context.close();
});

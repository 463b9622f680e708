/// Steps on the request page that several tests share.
import type { Page } from 'playwright-core';
import { type Rig, logIn, openPage } from './rig';

/// Chooses an option of a picker.
export async function choose(page: Page, label: string, option: RegExp): Promise<void> {
  await page.getByRole('combobox', { name: label, exact: true }).click();
  await page.getByRole('option', { name: option }).click();
}

/// Somebody on the request page, with a service chosen.
export async function atService(rig: Rig, name: string, service = 'echo', options: { dark?: boolean } = {}) {
  const opened = await openPage(rig, options);
  await logIn(opened.page, name);
  await choose(opened.page, 'Region', /eu/);
  await choose(opened.page, 'Service', new RegExp(service));
  return opened;
}

export const request = (page: Page) => page.getByRole('region', { name: 'Request', exact: true });
export const response = (page: Page) => page.getByRole('region', { name: 'Response', exact: true });

/// Sends to a path and waits for the answer's status.
export async function sendTo(page: Page, path: string, status = '200 OK'): Promise<void> {
  await page.getByLabel('Path', { exact: true }).fill(path);
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await response(page).getByText(status).waitFor();
}

/// What an echo answered with.
export async function echoed(page: Page): Promise<{ method: string; path: string; query: string | null; headers: Record<string, string>; body: string }> {
  await response(page).getByText('Raw', { exact: true }).click();
  const view = response(page).getByRole('region', { name: 'Body' });
  await view.getByText('"instance"').waitFor();
  // Long lines are broken for the view; a line number stands before each.
  const lines = await view.locator('.line > span:last-child').allTextContents();
  return JSON.parse(lines.join(''));
}

/// Answers with what no sample service can.
export async function answerWith(page: Page, type: string, body: string | Buffer): Promise<void> {
  await page.route('**/r/**', (route) => route.fulfill({ status: 200, headers: { 'content-type': type }, body }));
}

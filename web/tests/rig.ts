/// A real `doorman demo` and a real Chromium, both ended with the tests.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { type APIRequestContext, type Browser, type BrowserContext, type Page, chromium, request } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';

const BINARY = process.env.DOORMAN_BINARY ?? new URL('../../target/debug/doorman', import.meta.url).pathname;
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export interface Demo {
  url: string;
  stop: () => Promise<void>;
}

/// Starts the demo on a free port with data of its own, and waits until it is ready.
async function startDemo(): Promise<Demo> {
  const data = mkdtempSync(join(tmpdir(), 'doorman-console-'));
  const demo = spawn(BINARY, ['demo', '--data', data, '--listen', `127.0.0.1:${await freePort()}`], { stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = () => demo.kill('SIGKILL');
  process.once('exit', kill);
  const url = await readyUrl(demo);
  return {
    url,
    stop: async () => {
      process.off('exit', kill);
      const ended = new Promise((resolve) => demo.once('exit', resolve));
      demo.kill('SIGTERM');
      const late = setTimeout(kill, 10_000);
      await ended;
      clearTimeout(late);
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/// The demo must know its own origin beforehand, so the port is chosen here.
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

function readyUrl(demo: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = '';
    const read = (chunk: Buffer) => {
      printed += chunk.toString();
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(printed)?.[0];
      if (url !== undefined && /^READY/m.test(printed)) {
        resolve(url);
      }
    };
    demo.stdout?.on('data', read);
    demo.stderr?.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
    });
    demo.once('error', reject);
    demo.once('exit', (code) => reject(new Error(`the demo ended with ${code}:\n${printed}`)));
  });
}

/// Starts Chromium.
export function startBrowser(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM ?? CHROMIUM.find((path) => existsSync(path));
  if (executablePath === undefined) {
    throw new Error('no Chromium here; `cargo xtask test` installs it');
  }
  // The sandbox needs rights that containers running as root do not have.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}

/// A fresh profile at the demo. What the page complains about is gathered: scripts' errors and breaches of its policy.
export async function openPage({ browser, demo }: Rig, options: { dark?: boolean } = {}) {
  const context: BrowserContext = await browser.newContext({
    baseURL: demo.url,
    viewport: { width: 1280, height: 800 },
    colorScheme: options.dark ? 'dark' : 'light',
    reducedMotion: 'reduce',
  });
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    const text = message.text();
    // A status that is no success is reported as an error, too; pages show those themselves.
    if (message.type() === 'error' && !text.startsWith('Failed to load resource')) {
      complaints.push(text);
    }
  });
  return { page, context, complaints };
}

/// Logs in through the form.
export async function logIn(page: Page, name: string): Promise<void> {
  await page.goto('/');
  await page.getByLabel('User name').fill(name);
  await page.getByLabel('Password', { exact: true }).fill(`${name}-demo`);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('navigation', { name: 'Pages' }).waitFor();
}

/// What axe finds that is serious or worse, each with where.
export async function seriousFindings(page: Page): Promise<string[]> {
  // Evaluated, not added as a script element, which the page's policy would refuse.
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const run = (globalThis as unknown as { axe: typeof axe }).axe.run;
    return (await run(document, { resultTypes: ['violations'] })).violations;
  });
  return found
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(' | ')}`);
}

/// Where screenshots go, if anybody asked for them.
export async function screenshot(page: Page, name: string): Promise<void> {
  const directory = process.env.SCREENSHOTS;
  if (directory) {
    await page.screenshot({ path: join(directory, `${name}.png`) });
  }
}

/// What the tests of one file share.
export interface Rig {
  demo: Demo;
  browser: Browser;
  /// Calls as programs do. `fetch` would send Sec-Fetch headers, as browsers do, and Basic is refused then.
  program: APIRequestContext;
}

/// The rig of one file of tests, there while its tests run.
export function useRig(): Rig {
  const rig = {} as Rig;
  beforeAll(async () => {
    [rig.demo, rig.browser] = await Promise.all([startDemo(), startBrowser()]);
    rig.program = await request.newContext({ baseURL: rig.demo.url });
  });
  afterAll(async () => {
    await rig.program?.dispose();
    await rig.browser?.close();
    await rig.demo?.stop();
  });
  return rig;
}

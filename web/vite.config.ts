/// The build: hashed files below /assets, each with a gzip beside it, and an index that the server gives a style nonce.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { type Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/// The server hands out `<name>.gz` to who accepts it, so that nothing is compressed while somebody waits.
function precompress(): Plugin {
  return {
    name: 'precompress',
    apply: 'build',
    // Of the files as they are at last: Vite still rewrites chunks while it generates them.
    writeBundle({ dir = 'dist' }, bundle) {
      for (const { fileName } of Object.values(bundle)) {
        const content = readFileSync(join(dir, fileName));
        if (/\.(js|css|svg)$/.test(fileName) && content.length > 1024) {
          writeFileSync(join(dir, `${fileName}.gz`), gzipSync(content, { level: 9 }));
        }
      }
    },
  };
}

const doorman = process.env.DOORMAN_URL ?? 'http://127.0.0.1:8440';

export default defineConfig({
  plugins: [react(), precompress()],
  build: { target: 'es2022',
    // Browsers that know light-dark() themselves: what it is rewritten to otherwise does not follow our switch.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
     assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 700 },
  server: {
    proxy: Object.fromEntries(
      ['/api', '/auth', '/r', '/readyz', '/healthz'].map((path) => [path, { target: doorman, ws: path === '/r' }]),
    ),
  },
  test: {
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.{ts,tsx}'], environment: 'node' } },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['tests/**/*.test.ts'],
          environment: 'node',
          testTimeout: 120_000,
          hookTimeout: 60_000,
          // A busy machine proves nothing. What fails twice in a row fails; the first failure is told all the same.
          retry: 1,
          expect: { poll: { timeout: 30_000 } },
          fileParallelism: false,
        },
      },
    ],
  },
});

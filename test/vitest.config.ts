import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const repository = fileURLToPath(new URL('..', import.meta.url))

export default defineConfig({
  root: repository,
  test: {
    environment: 'node',
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/helpers/fixed-seed.ts'],
    pool: 'forks',
    maxWorkers: 2,
    retry: 0,
    // A net for what hangs, not a demand on speed: slow machines must pass.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    server: {
      deps: {
        // The built package runs as users run it: loaded by Node, with its own worker, not transformed by Vite.
        external: [/\/dist\//],
      },
    },
    reporters: process.env.CI
      ? ['default', ['json', { outputFile: '.test-results/vitest.json' }]]
      : ['default'],
  },
})

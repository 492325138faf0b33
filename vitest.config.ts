import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/** Suites that must give the same results in Node and in workerd. */
const portable = ["protocol/**/*.test.ts", "auth/**/*.test.ts", "control-plane/{domain,objects}/**/*.test.ts"];

/**
 * Each file has objects of its own, but all share one database. Those that look at what the one audit log or the one key ring has there
 * must not meet another's.
 */
const alone = ["test/workerd/admin-audit.test.ts", "test/workerd/crashes.test.ts", "test/workerd/signing-keys.test.ts"];

/** Files that run in workerd, with the services that the Worker calls. */
const workerdPlugins = () => [
  cloudflareTest(({ inject }) => ({
    wrangler: { configPath: "./wrangler.toml" },
    miniflare: { bindings: inject<Record<string, string>>("workerBindings") },
  })),
];

/**
 * For what surely comes, on the slowest of machines as well: only a test that fails waits so long. A test whose rule is about time says
 * its own.
 */
const patience = {
  expect: { poll: { timeout: 30_000 } },
  testTimeout: 60_000,
  hookTimeout: 120_000,
};

export default defineConfig({
  test: {
    // The Worker logs every request; it matters where a test fails.
    silent: "passed-only",
    projects: [
      {
        test: {
          ...patience,
          name: "node",
          include: [
            ...portable,
            "control-plane/store/**/*.test.ts",
            "data-plane/**/*.test.ts",
            "clients/**/*.test.ts",
            "cli/**/*.test.ts",
            "dev/**/*.test.ts",
            "examples/**/*.test.ts",
            "bench/*.test.ts",
            "bench/load/*.test.ts",
            "test/checks/**/*.test.ts",
            "test/conformance/**/*.test.ts",
            "test/simulation/**/*.test.ts",
            "test/support/**/*.test.ts",
          ],
        },
      },
      {
        plugins: workerdPlugins(),
        test: {
          ...patience,
          name: "workerd",
          include: [...portable, "test/workerd/**/*.test.ts"],
          exclude: alone,
          globalSetup: ["test/workerd/global-setup.ts"],
        },
      },
      {
        plugins: workerdPlugins(),
        test: {
          ...patience,
          name: "workerd-alone",
          include: alone,
          globalSetup: ["test/workerd/global-setup.ts"],
          fileParallelism: false,
        },
      },
      {
        test: {
          ...patience,
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 120_000,
          // Each file starts whole process trees: one at a time keeps them from starving each other.
          fileParallelism: false,
        },
      },
    ],
  },
});

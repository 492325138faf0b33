import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/** Suites that must give the same results in Node and in workerd. */
const portable = ["protocol/**/*.test.ts", "auth/**/*.test.ts", "control-plane/domain/**/*.test.ts"];

export default defineConfig({
  test: {
    // The Worker logs every request; it matters where a test fails.
    silent: "passed-only",
    projects: [
      {
        test: {
          name: "node",
          include: [
            ...portable,
            "control-plane/store/**/*.test.ts",
            "data-plane/**/*.test.ts",
            "clients/**/*.test.ts",
            "cli/**/*.test.ts",
            "dev/**/*.test.ts",
            "bench/*.test.ts",
            "bench/load/*.test.ts",
            "test/checks/**/*.test.ts",
            "test/conformance/**/*.test.ts",
            "test/simulation/**/*.test.ts",
          ],
          testTimeout: 20_000,
          hookTimeout: 60_000,
        },
      },
      {
        plugins: [
          cloudflareTest(({ inject }) => ({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: { bindings: inject<Record<string, string>>("workerBindings") },
          })),
        ],
        test: {
          name: "workerd",
          include: [...portable, "test/workerd/**/*.test.ts"],
          globalSetup: ["test/workerd/global-setup.ts"],
          testTimeout: 20_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Each file starts whole process trees: one at a time keeps them from starving each other.
          fileParallelism: false,
        },
      },
    ],
  },
});

/**
 * `npm test`: the checks, then every test that needs no long time, in one go.
 * Ends with the line `N passed, N failed`; the exit code says the same.
 *
 * `npm test -- PATTERN …` runs only the test files whose path contains a pattern, without the checks.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** Each counts as one test. */
const checks: readonly (readonly [title: string, command: string, ...args: string[]])[] = [
  ["format", "oxfmt", "--check", "."],
  ["lint", "oxlint", "--type-aware", "--deny-warnings", "."],
  ["types", "tsc", "-p", "tsconfig.json"],
  ["types of the Worker", "tsc", "-p", "tsconfig.worker.json"],
  ["types of the console", "tsc", "-p", "console/tsconfig.json"],
  ["import directions", "node", "test/checks/import-directions.ts"],
  ["documents", "node", "test/checks/documents.ts"],
  ["requirement ids", "node", "test/checks/ids.ts"],
  ["generated files", "node", "test/checks/generated.ts"],
  ["deployable Worker", "wrangler", "deploy", "--dry-run", "--outdir", "dist/worker"],
];

/** One after the other. */
const projects = ["node", "workerd"] as const;

/** Beside those: it waits for alarms and evictions nearly all of its time. */
const beside = "workerd-alone";

/** When nothing else runs: these start whole process trees, and some of them measure. */
const last = "e2e";

/**
 * How many files at once. Files of `workerd` spend most of their time waiting: more of them than there are cores. Vitest itself leaves a
 * core free, of which there may be only two.
 */
const workers: Readonly<Record<string, number>> = { node: Math.max(2, availableParallelism() - 1), workerd: 4 };

interface Counts {
  passed: number;
  failed: number;
}

const environment = {
  ...process.env,
  PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"] ?? ""}`,
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
};

const patterns = process.argv.slice(2);
if (patterns.some((pattern) => pattern.startsWith("-"))) {
  const isHelp = patterns.some((pattern) => pattern === "--help" || pattern === "-h");
  console.log(`${isHelp ? "" : "There are no flags.\n\n"}npm test                   the checks, then every test
npm test -- PATTERN …      the test files whose path contains a pattern, without the checks
npm run check              the checks alone`);
  process.exit(isHelp ? 0 : 2);
}
const total: Counts = { passed: 0, failed: 0 };
const onlyChecks = patterns.length === 1 && patterns[0] === "checks";

if (patterns.length === 0 || onlyChecks) await runChecks();
if (!onlyChecks) {
  await Promise.all([runProject(beside, "captured"), runInTurn(projects)]);
  await runInTurn([last]);
}

console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;

async function runChecks(): Promise<void> {
  for (const [title, command, ...args] of checks) {
    const { code, output } = await run(command, args, "captured");
    if (code === 0) {
      total.passed += 1;
      console.log(`✓ ${title}`);
    } else {
      total.failed += 1;
      console.log(`✗ ${title}: ${[command, ...args].join(" ")}\n${output}`);
    }
  }
}

async function runInTurn(projects: readonly string[]): Promise<void> {
  for (const project of projects) await runProject(project, "shown");
}

/** What is captured is printed at its end. */
async function runProject(project: string, shown: "shown" | "captured"): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "sustenet-test-"));
  const report = join(folder, "report.json");
  try {
    const most = workers[project] === undefined ? [] : [`--maxWorkers=${workers[project]}`];
    const args = ["run", "--project", project, "--passWithNoTests", ...most, ...patterns];
    const { code, output } = await run(
      "vitest",
      [...args, "--reporter=default", "--reporter=json", `--outputFile=${report}`],
      shown,
    );
    if (output !== "") console.log(output);
    const counts = readReport(report);
    total.passed += counts.passed;
    // A run that fails without a failed test (a file that does not load, an unhandled rejection) must not look green.
    total.failed += counts.failed === 0 && code !== 0 ? 1 : counts.failed;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readReport(file: string): Counts {
  let report: unknown;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return { passed: 0, failed: 0 };
  }
  if (typeof report !== "object" || report === null) return { passed: 0, failed: 0 };
  const { numPassedTests, numFailedTests }: { numPassedTests?: unknown; numFailedTests?: unknown } = report;
  return { passed: Number(numPassedTests ?? 0), failed: Number(numFailedTests ?? 0) };
}

/** Runs a program of this package to its end. */
function run(
  command: string,
  args: readonly string[],
  output: "shown" | "captured",
): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      env: environment,
      stdio: ["ignore", output === "shown" ? "inherit" : "pipe", output === "shown" ? "inherit" : "pipe"],
    });
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    child.stderr?.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, output: text }));
  });
}

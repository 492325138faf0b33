/**
 * Checks that generated files are what their sources give: `node test/checks/generated.ts`.
 * The database migrations follow the drizzle schema; the Worker's types follow wrangler.toml; the console's script follows its source.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { consoleScript } from "../../control-plane/http/console-script.ts";
import { makeConsoleScript } from "../../dev/console-script.ts";

const root = join(import.meta.dirname, "../..");
const faults: string[] = [];

checkMigrations();
checkWorkerTypes();
checkConsole();

for (const fault of faults) console.error(fault);
console.log(`generated files: ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;

function checkMigrations(): void {
  const folder = mkdtempSync(join(tmpdir(), "sustenet-migrations-"));
  try {
    cpSync(join(root, "migrations"), folder, { recursive: true });
    const before = readdirSync(folder).length;
    const { status, output } = run(
      "drizzle-kit",
      "generate",
      "--dialect=turso",
      "--schema=control-plane/store/schema.ts",
      `--out=${folder}`,
    );
    if (status !== 0) faults.push(`drizzle-kit generate failed:\n${output}`);
    else if (readdirSync(folder).length !== before) {
      faults.push("control-plane/store/schema.ts has changes without a migration: npm run migrations:generate");
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function checkWorkerTypes(): void {
  const { status, output } = run("wrangler", "types", "control-plane/worker-configuration.d.ts", "--check");
  if (status !== 0) faults.push(`the Worker's types are not up to date: npm run worker:types\n${output}`);
}

function checkConsole(): void {
  if (consoleScript !== makeConsoleScript()) {
    faults.push("console/script.ts has changes that the master does not serve yet: npm run console");
  }
}

function run(command: string, ...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(join(root, "node_modules/.bin", command), args, {
    cwd: root,
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status, output: `${stdout}${stderr}` };
}

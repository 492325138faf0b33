import { cpSync, mkdtempSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, relative } from "node:path";

const root = join(import.meta.dirname, "../..");
const left = new Set(["node_modules", ".git", ".sustenet", ".wrangler", "dist", "coverage", ".vitest"]);

/** A copy of the sources as a clone has them, with the dependencies of this one: what is run in it leaves no trace here. */
export function createFreshCopy(): string {
  const folder = mkdtempSync(join(tmpdir(), "sustenet-copy-"));
  cpSync(root, folder, { recursive: true, filter: (path) => !left.has(basename(path)) && !isSomebodys(path) });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return folder;
}

/** Private keys that were made here, as .gitignore has them. */
function isSomebodys(path: string): boolean {
  return /^(?:examples\/[^/]+\/)?keys$/.test(relative(root, path));
}

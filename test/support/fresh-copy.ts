import { cpSync, mkdtempSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const root = join(import.meta.dirname, "../..");
const left = new Set(["node_modules", ".git", ".sustenet", ".wrangler", "dist", "coverage", ".vitest", "keys"]);

/** A copy of the sources as a clone has them, with the dependencies of this one: what is run in it leaves no trace here. */
export function createFreshCopy(): string {
  const folder = mkdtempSync(join(tmpdir(), "sustenet-copy-"));
  // `data-plane/keys` is source; `keys` elsewhere are somebody's.
  cpSync(root, folder, {
    recursive: true,
    filter: (path) => !left.has(basename(path)) || path === join(root, "data-plane/keys"),
  });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return folder;
}

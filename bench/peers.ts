import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";

/** Installs the peers with `npm ci` when they are missing, or older than the lock file. */
export function ensurePeers(say: (text: string) => void): void {
  const folder = import.meta.dirname;
  const installed = changedMs(join(folder, "node_modules/.package-lock.json"));
  if (installed !== undefined && installed >= (changedMs(join(folder, "package-lock.json")) ?? 0)) return;
  say("installing the peers (npm ci in bench/)");
  const { status, stderr } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: folder, encoding: "utf8" });
  // What comes after that is npm's help.
  const reason = stderr.split("\n").slice(0, 10).join("\n");
  if (status !== 0) throw new Error(`npm ci in bench/ failed:\n${reason}`);
}

function changedMs(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

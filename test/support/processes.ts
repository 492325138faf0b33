import { readdirSync, readFileSync } from "node:fs";

/**
 * The programs that run with `name=value` in their environment, by their command lines: whatever a program under test has
 * started, in whichever process group, has inherited it. Linux alone tells.
 */
export function processesWith(name: string, value: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      if (!readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`${name}=${value}`)) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      // One that has ended and waits for its parent to ask how has no command line any more.
      if (command !== "") found.push(`${pid} ${command}`);
    } catch {
      // It has ended, or is another user's.
    }
  }
  return found;
}

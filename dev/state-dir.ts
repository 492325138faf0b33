import { existsSync, mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Makes the folder that holds the local stack's databases and keys, for its owner alone, and returns its full path.
 *
 * @throws Error that says in one line why it cannot be made
 */
export function createStateDir(folder: string): string {
  const path = resolve(folder);
  const missing: string[] = [];
  for (let part = path; !existsSync(part) && part !== dirname(part); part = dirname(part)) missing.unshift(part);
  try {
    // One by one: where the system makes no folders, as under /proc, the recursive form of mkdir never returns.
    for (const part of missing) mkdirSync(part, { mode: 0o700 });
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new Error(`the state folder ${path} cannot be made (${reason}): name another with --state DIR`, {
      cause: error,
    });
  }
  return path;
}

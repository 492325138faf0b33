import { accessSync, constants, existsSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Makes the folder that holds the local stack's databases and keys, for its owner alone, and returns its full path.
 *
 * @throws Error that says in one line why it cannot be made or used
 */
export function createStateDir(folder: string): string {
  const path = resolve(folder);
  const missing: string[] = [];
  for (let part = path; !existsSync(part) && part !== dirname(part); part = dirname(part)) missing.unshift(part);
  try {
    // One by one: where the system makes no folders, as under /proc, the recursive form of mkdir never returns.
    for (const part of missing) mkdirSync(part, { mode: 0o700 });
  } catch (error) {
    throw refusal(path, "cannot be made", error);
  }
  try {
    readdirSync(path);
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw refusal(path, "cannot be used", error);
  }
  return path;
}

function refusal(path: string, what: string, cause: unknown): Error {
  const reason = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  return new Error(`the state folder ${path} ${what} (${reason}): name another with --state DIR`, { cause });
}

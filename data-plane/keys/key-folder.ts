import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { KeyError } from "./key-error.ts";

/**
 * Makes a folder for its owner alone, and those above it that are missing.
 *
 * @throws KeyError `FOLDER_UNUSABLE`
 */
export function makeFolder(folder: string): void {
  const missing: string[] = [];
  let part = resolve(folder);
  for (; kindOf(part) === undefined && part !== dirname(part); part = dirname(part)) missing.unshift(part);
  try {
    if (kindOf(part) === "file") throw Object.assign(new Error(part), { code: "ENOTDIR" });
    // One by one: where the system makes no folders, as under /proc, the recursive form of mkdir never returns.
    for (const path of missing) makeOne(path);
  } catch (cause) {
    throw refusal(folder, "cannot be made", codeOf(cause) === "ENOTDIR" ? `${part} is a file` : reasonOf(cause), cause);
  }
}

/** What to say where a file could not be written into a folder. */
export function folderUnusable(folder: string, cause: unknown): KeyError {
  return refusal(folder, "cannot be written to", reasonOf(cause), cause);
}

function makeOne(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another was quicker.
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

function kindOf(path: string): "folder" | "file" | undefined {
  try {
    return statSync(path).isDirectory() ? "folder" : "file";
  } catch {
    return undefined;
  }
}

function refusal(folder: string, what: string, reason: string, cause: unknown): KeyError {
  return new KeyError("FOLDER_UNUSABLE", `The folder ${folder} ${what}: ${reason}.`, { cause });
}

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return words[code] ?? `the system says ${code}`;
}

const words: Readonly<Record<string, string>> = {
  EROFS: "it is read-only",
  EACCES: "this user may not write there",
  EPERM: "this user may not write there",
  ENOENT: "the system makes no folders there",
  ENOSPC: "there is no room",
};

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "no";
}

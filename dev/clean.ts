/** `npm run clean`: wipes the state of the local stack, in `--state DIR` if need be, unless something runs on it. */
import { existsSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { lockState } from "./state-lock.ts";

try {
  const { values } = parseArgs({ options: { state: { type: "string", default: ".sustenet" } } });
  const folder = resolve(values.state);
  if (existsSync(folder)) wipe(folder);
  console.log(`wiped ${folder}`);
} catch (error) {
  console.error(`nothing was wiped: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

function wipe(folder: string): void {
  // Never somebody's home, for a slip of the finger.
  if (!["secrets.json", "stack.lock", "master.lock"].some((file) => existsSync(join(folder, file)))) {
    throw new Error(`${folder} looks like a folder that no stack has made: remove it by hand if you mean it`);
  }
  const holder = { pid: process.pid, command: "npm run clean" };
  const locks = [lockState(folder, "stack", holder), lockState(folder, "master", holder)];
  rmSync(folder, { recursive: true, force: true });
  for (const lock of locks) lock.release();
}

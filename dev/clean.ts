/** `npm run clean`: wipes the state of the local stack, in `--state DIR` if need be, unless something runs on it. */
import { existsSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { isAskingForHelp } from "../cli/command-help.ts";
import { parseTyped } from "../cli/typed-options.ts";
import { forgottenDashes } from "./forgotten-dashes.ts";
import { lockState } from "./state-lock.ts";

const help = `npm run clean [-- OPTIONS]   wipes what npm start and npm run master leave behind, unless one of them runs

  --state DIR   the folder to wipe (default .sustenet)
  --help        this text`;

if (isAskingForHelp(process.argv.slice(2))) {
  console.log(help);
  process.exit(0);
}

try {
  // Otherwise another folder than the one that was meant would go.
  const forgotten = forgottenDashes("npm run clean", ["state"], process.env);
  if (forgotten !== undefined) throw new Error(forgotten);
  const { values } = parseTyped(process.argv.slice(2), { state: { type: "string", default: ".sustenet" } }, false);
  const folder = resolve(values.state);
  if (existsSync(folder)) {
    wipe(folder);
    console.log(`wiped ${folder}`);
  } else {
    console.log(`there is nothing to wipe: ${folder} does not exist`);
  }
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

/** `npm run operator`: an operator's token at the master that runs on `--state DIR`, for the commands of `sustenet`. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseEnv } from "node:util";
import { isAskingForHelp } from "../cli/command-help.ts";
import { parseTyped } from "../cli/typed-options.ts";
import { createLocalOperator, readLocalMaster } from "./local-operator.ts";

const help = `npm run operator [-- OPTIONS]   makes an operator at the local master, and writes its token to a file for an hour

  --state DIR   the folder of npm start or npm run master (default .sustenet)
  --help        this text`;

if (isAskingForHelp(process.argv.slice(2))) {
  console.log(help);
  process.exit(0);
}

try {
  const { values } = parseTyped(process.argv.slice(2), { state: { type: "string", default: ".sustenet" } }, false);
  const folder = resolve(values.state);
  const master = readLocalMaster(readEnvironment(join(folder, "master.env")));
  if (master === undefined) throw new Error("the accounts of that master are not local: docs/OPERATIONS.md, Operators");
  const file = join(folder, "operator.token");
  const token = await createLocalOperator(master);
  // Not over what is there: its mode would stay.
  rmSync(file, { force: true });
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  const shown = relative(process.cwd(), file);
  console.log(`an operator's token, good for an hour, is in ${file}`);
  console.log(`try it: npx sustenet clusters --master ${master.masterUrl} --token-file ${shown}`);
} catch (error) {
  console.error(`there is no operator: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

function readEnvironment(file: string): Readonly<Record<string, string | undefined>> {
  try {
    return parseEnv(readFileSync(file, "utf8"));
  } catch {
    throw new Error(`${file} cannot be read: start npm start or npm run master first, and leave it running`);
  }
}

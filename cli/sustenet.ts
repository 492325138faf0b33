#!/usr/bin/env node
import { AdminError } from "./admin/admin-api.ts";
import { commands, helpText } from "./commands.ts";
import { exitCodes } from "./exit-codes.ts";
import { UsageError } from "./usage-error.ts";

const [name = "help", ...args] = process.argv.slice(2);
const command = commands[name];

if (["help", "--help", "-h"].includes(name)) {
  console.log(helpText());
} else if (command === undefined) {
  console.error(`there is no command "${name}"\n\n${helpText()}`);
  process.exitCode = exitCodes.USAGE;
} else {
  try {
    await command.run(args);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\nusage: sustenet ${command.usage}`);
      process.exitCode = exitCodes.USAGE;
    } else {
      console.error(`${name} failed: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = error instanceof AdminError ? error.exitCode : exitCodes.FAILED;
    }
  }
}

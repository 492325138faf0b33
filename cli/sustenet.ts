#!/usr/bin/env node
import { commands, helpText, UsageError } from "./commands.ts";

const [name = "help", ...args] = process.argv.slice(2);
const command = commands[name];

if (["help", "--help", "-h"].includes(name)) {
  console.log(helpText());
} else if (command === undefined) {
  console.error(`there is no command "${name}"\n\n${helpText()}`);
  process.exitCode = 2;
} else {
  try {
    await command.run(args);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\nusage: sustenet ${command.usage}`);
      process.exitCode = 2;
    } else {
      console.error(`${name} failed: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = 1;
    }
  }
}

#!/usr/bin/env node
import { nodeFault } from "../data-plane/node-version.ts";
import { exitCodes } from "./exit-codes.ts";
import { UsageError } from "./usage-error.ts";

const tooOld = nodeFault(process.versions.node);
if (tooOld !== undefined) {
  console.error(tooOld);
  process.exit(exitCodes.FAILED);
}
// Not before: what they use, an older Node may not have.
const { AdminError } = await import("./admin/admin-api.ts");
const { readRequest } = await import("./command-help.ts");
const { commands, helpText } = await import("./commands.ts");

// Whoever reads what is printed may have read enough, as `head` has. What has come of the command still counts.
process.stdout.on("error", (error) => {
  if (!("code" in error) || error.code !== "EPIPE") throw error;
  setImmediate(() => process.exit(process.exitCode ?? exitCodes.DONE));
});

const request = readRequest(process.argv.slice(2), commands, helpText());
switch (request.kind) {
  case "help":
    console.log(request.text);
    break;
  case "unknown":
    console.error(request.text);
    process.exitCode = exitCodes.USAGE;
    break;
  case "run":
    try {
      await request.command.run(request.args);
    } catch (error) {
      if (error instanceof UsageError) {
        console.error(`${error.message}\nusage: sustenet ${request.command.usage}`);
        process.exitCode = exitCodes.USAGE;
      } else {
        console.error(`${request.name} failed: ${error instanceof Error ? error.message : String(error)}`);
        process.exitCode = error instanceof AdminError ? error.exitCode : exitCodes.FAILED;
      }
    }
}

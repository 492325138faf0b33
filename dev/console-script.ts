/** `npm run console`: makes of console/script.ts what the master serves at /console/script.js. The checks hold the two together. */
import { readFileSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** The page's script without its types, and without its comments' and types' blanks at the end of lines. */
export function makeConsoleScript(): string {
  const source = readFileSync(join(root, "console/script.ts"), "utf8");
  return stripTypeScriptTypes(source)
    .replaceAll(/[ \t]+$/gm, "")
    .replaceAll(/\n{2,}/g, "\n");
}

if (import.meta.main) {
  const note = "// Made of console/script.ts by `npm run console`.\n";
  const text = `${note}export const consoleScript = ${JSON.stringify(makeConsoleScript())};\n`;
  writeFileSync(join(root, "control-plane/http/console-script.ts"), text);
}

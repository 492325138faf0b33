/**
 * Checks the Markdown of this project: `node test/checks/documents.ts`.
 * Relative links lead somewhere; `npm run` scripts, `node` files and `sustenet` commands that are quoted exist;
 * TypeScript blocks compile against the packages' public faces.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { commandNames } from "../../cli/commands.ts";

const root = join(import.meta.dirname, "../..");
const scratch = join(root, ".sustenet", "documents-check");
const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));

const faults: string[] = [];
const documents = findDocuments();
const snippets: string[] = [];

for (const file of documents) {
  const text = readFileSync(join(root, file), "utf8");
  checkLinks(file, text);
  checkCommands(file, text);
  collectSnippets(file, text);
}
checkSnippets();

for (const fault of faults) console.error(fault);
console.log(`documents: ${documents.length} files, ${snippets.length} TypeScript blocks, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;

function findDocuments(): string[] {
  const skipped = /(^|\/)(node_modules|\.sustenet|\.wrangler|dist|\.git)\//;
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md") && !skipped.test(file))
    .sort();
}

function checkLinks(file: string, text: string): void {
  const headings = new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
  for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path = "", anchor] = target.split("#");
    if (path === "") {
      if (anchor !== undefined && !headings.has(anchor)) faults.push(`${file}: no heading for #${anchor}`);
    } else if (!existsSync(join(root, dirname(file), path))) {
      faults.push(`${file}: link to ${path}, which does not exist`);
    }
  }
}

function checkCommands(file: string, text: string): void {
  for (const [, script = ""] of text.matchAll(/npm run (?:-s )?([\w:-]+)/g)) {
    if (scripts[script] === undefined) faults.push(`${file}: npm run ${script} does not exist`);
  }
  // A document may say to go somewhere first; the project of docs/PACKAGE.md is the reader's own, with files like these.
  const project = file === "docs/PACKAGE.md" ? ["examples/minimal"] : [];
  const folders = [
    ".",
    dirname(file),
    ...project,
    ...[...text.matchAll(/^ *cd (\S+)$/gm)].map(([, folder = "."]) => folder),
  ];
  for (const [, script = ""] of text.matchAll(/\bnode ((?:\w|[-./])+\.ts)\b/g)) {
    if (!folders.some((folder) => existsSync(join(root, folder, script)))) {
      faults.push(`${file}: node ${script} does not exist`);
    }
  }
  for (const [, command = ""] of text.matchAll(/npx sustenet ([a-z][\w-]*)/g)) {
    if (!commandNames.includes(command)) faults.push(`${file}: sustenet has no command ${command}`);
  }
}

function collectSnippets(file: string, text: string): void {
  for (const [, code = ""] of text.matchAll(/^```ts\n([\s\S]*?)^```/gm)) {
    snippets.push(`// ${file}\n${code}\nexport {};\n`);
  }
}

function checkSnippets(): void {
  if (snippets.length === 0) return;
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  for (const [index, code] of snippets.entries()) writeFileSync(join(scratch, `block-${index}.ts`), code);
  const config = { extends: "../../tsconfig.base.json", compilerOptions: { types: ["node"] }, include: ["*.ts"] };
  writeFileSync(join(scratch, "tsconfig.json"), JSON.stringify(config));
  const { status, stdout } = spawnSync(join(root, "node_modules/.bin/tsc"), ["-p", scratch], { encoding: "utf8" });
  if (status !== 0) faults.push(`TypeScript blocks do not compile:\n${stdout}`);
}

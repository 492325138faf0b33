/**
 * Holds the requirement ids together: `node test/checks/ids.ts [ROOT]`.
 * Each id that a document defines (`**[AREA-n]**`) is quoted by a test, and each id that is quoted anywhere is defined.
 * A test quotes an id in a string, such as its title; a comment proves nothing.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";

const documents = ["docs/PROTOCOL.md", "docs/SECURITY.md", "docs/HANDOVER.md", "docs/adr/0012-world-map.md"];
const skippedFolders = new Set(["node_modules", "dist", ".git", ".wrangler", ".sustenet", "migrations"]);
const sourceFile = /\.(ts|gd|cs|md)$/;

const root = process.argv[2] ?? join(import.meta.dirname, "../..");
const faults: string[] = [];
const defined = new Map<string, string>();
const tested = new Set<string>();

for (const document of documents) readDocument(document);
for (const file of findFiles("")) readSource(file);

for (const [id, document] of defined) {
  if (!tested.has(id)) faults.push(`${document}: [${id}] is quoted by no test`);
}
for (const fault of faults) console.error(fault);
console.log(`requirement ids: ${defined.size} defined, ${tested.size} tested, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;

function readDocument(document: string): void {
  const path = join(root, document);
  if (!existsSync(path)) return;
  for (const [, id = ""] of readFileSync(path, "utf8").matchAll(/\*\*\[([A-Z]{2,}-\d+)\]\*\*/g)) {
    if (defined.has(id)) faults.push(`${document}: [${id}] is defined twice`);
    defined.set(id, document);
  }
}

function readSource(file: string): void {
  const isTest = file.endsWith(".test.ts");
  for (const [index, line] of readFileSync(join(root, file), "utf8").split("\n").entries()) {
    for (const match of line.matchAll(/\[([A-Z]{2,}-\d+)\]/g)) {
      const id = match[1] ?? "";
      if (!defined.has(id)) faults.push(`${file}:${index + 1}: [${id}] is defined by no document`);
      else if (isTest && /["'`]/.test(line.slice(0, match.index))) tested.add(id);
    }
  }
}

/** Paths relative to the root, with `/`. */
function findFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return skippedFolders.has(entry.name) ? [] : findFiles(path);
    return sourceFile.test(entry.name) ? [path.split(sep).join("/")] : [];
  });
}

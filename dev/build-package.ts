/**
 * `npm run build`: makes `dist/package`, which is what npm packs: JavaScript with declarations of what a game needs (client,
 * cluster, protocol, the `sustenet` command). This repository itself runs its TypeScript as it is.
 */
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { z } from "zod";

const root = join(import.meta.dirname, "..");
const target = join(root, "dist/package");

/** Bare names in `from "…"` and `import("…")`. */
const imports = /(?:from |import )"([^".][^"]*)"/g;
/** TypeScript leaves the endings of sources in declarations. */
const sourceEndings = /((?:from |import\()"\.{1,2}\/[^"]+)\.ts"/g;

const own = z
  .object({
    name: z.string(),
    version: z.string(),
    description: z.string(),
    license: z.string(),
    exports: z.record(z.string(), z.string()),
    bin: z.record(z.string(), z.string()),
    dependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));

rmSync(target, { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"],
  {
    cwd: root,
    stdio: "inherit",
  },
);
if (status !== 0) process.exit(1);

const used = new Set<string>();
for (const file of readdirSync(target, { recursive: true, encoding: "utf8" })) {
  if (!/\.(js|d\.ts)$/.test(file)) continue;
  const path = join(target, file);
  const text = readFileSync(path, "utf8").replaceAll(sourceEndings, '$1.js"');
  writeFileSync(path, text);
  for (const [, name = ""] of text.matchAll(imports)) used.add(packageOf(name));
}
const dependencies = Object.fromEntries(Object.entries(own.dependencies).filter(([name]) => used.has(name)));
const missing = [...used].filter((name) => !isBuiltin(name) && dependencies[name] === undefined);
if (missing.length > 0) throw new Error(`not among the dependencies: ${missing.join(", ")}`);

const { name, version, description, license } = own;
const manifest = {
  name,
  version,
  description,
  license,
  type: "module",
  engines: { node: ">=22.12" },
  bin: Object.fromEntries(Object.entries(own.bin).map(([command, file]) => [command, built(file, "js")])),
  exports: Object.fromEntries(
    Object.entries(own.exports).map(([path, file]) => [
      path,
      { types: `./${built(file, "d.ts")}`, default: `./${built(file, "js")}` },
    ]),
  ),
  dependencies,
};
writeFileSync(join(target, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
cpSync(join(root, "migrations"), join(target, "migrations"), { recursive: true });
cpSync(join(root, "LICENSE"), join(target, "LICENSE"));
cpSync(join(root, "docs/PACKAGE.md"), join(target, "README.md"));
console.log(`${target}: npm pack ./dist/package makes a tarball of it`);

function built(file: string, ending: string): string {
  return file.replace(/^\.\//, "").replace(/\.ts$/, `.${ending}`);
}

/** `@scope/name` or `name`, without what may follow. */
function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

/**
 * `npm run lock`: writes package-lock.json anew and completes it.
 *
 * npm leaves out of the lock file the binary packages of platforms that its registry does not show at that moment (mirrors lag
 * behind for some), and `npm ci` then refuses the file everywhere. Their names and versions are known from their
 * parents, so they are entered here; other machines never fetch them.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const entrySchema = z.looseObject({
  version: z.string().optional(),
  dev: z.boolean().optional(),
  license: z.string().optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
});
const lockSchema = z.looseObject({ packages: z.record(z.string(), entrySchema) });

const systems = new Map([
  ["android", "android"],
  ["darwin", "darwin"],
  ["freebsd", "freebsd"],
  ["linux", "linux"],
  ["openharmony", "openharmony"],
  ["win32", "win32"],
  ["windows", "win32"],
]);
const processors = new Map([
  ["arm64", "arm64"],
  ["arm", "arm"],
  ["x64", "x64"],
  ["64", "x64"],
  ["ia32", "ia32"],
  ["ppc64", "ppc64"],
  ["riscv64", "riscv64"],
  ["s390x", "s390x"],
]);

const root = join(import.meta.dirname, "..");
const file = join(root, "package-lock.json");
execFileSync("npm", ["install", "--package-lock-only", "--ignore-scripts"], { cwd: root, stdio: "inherit" });

const lock = lockSchema.parse(JSON.parse(readFileSync(file, "utf8")));
let added = 0;
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (isLocked(path, name)) continue;
    const platform = platformOf(name);
    // A package that is optional for another reason is npm's own business.
    if (platform === undefined || !/^\d/.test(version)) continue;
    lock.packages[`node_modules/${name}`] = {
      version,
      cpu: [platform.cpu],
      ...(entry.dev === undefined ? {} : { dev: entry.dev }),
      ...(name.endsWith("-musl") ? { libc: ["musl"] } : {}),
      ...(entry.license === undefined ? {} : { license: entry.license }),
      optional: true,
      os: [platform.os],
    };
    added += 1;
  }
}
const sorted = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify({ ...lock, packages: sorted }, null, 2)}\n`);
console.log(`${added} packages of other platforms entered`);

function isLocked(parent: string, name: string): boolean {
  return [`${parent}/node_modules/${name}`, `node_modules/${name}`].some((path) => lock.packages[path] !== undefined);
}

/** The platform that a binary package's name ends with, as in `…-darwin-arm64` or `…-linux-x64-musl`. */
function platformOf(name: string): { os: string; cpu: string } | undefined {
  const words = name.split(/[/-]/);
  for (const [index, word] of words.entries()) {
    const os = systems.get(word);
    const cpu = processors.get(words[index + 1] ?? "");
    if (os !== undefined && cpu !== undefined) return { os, cpu };
  }
  return undefined;
}

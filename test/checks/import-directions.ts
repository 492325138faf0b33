/**
 * Holds the import directions of the rooms: `node test/checks/import-directions.ts`.
 * A room may import itself and the rooms listed for it; packages are listed too where a room must be free of them.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative, sep } from "node:path";
import { parseSync } from "oxc-parser";

interface Room {
  /** Rooms that it may import, besides itself. `*` means all. */
  readonly rooms: readonly string[];
  /** Packages (or `node:` modules) that it may import; undefined means any. */
  readonly packages?: RegExp;
  /** Of the room that this is a part of, it imports only itself. */
  readonly alone?: true;
  /** Parts of that room that it must not import, be it only types. */
  readonly never?: readonly string[];
}

const dataPlane: Room = { rooms: ["protocol", "auth"], packages: /^(?!drizzle-orm|@libsql|libsql|@supabase|hono)/ };

/** Longest match decides. Tests beside the code may import more: what they need to test with. */
const rooms: Readonly<Record<string, Room>> = {
  protocol: { rooms: [], packages: /^$/ },
  auth: { rooms: ["protocol"], packages: /^(jose|zod|@supabase\/supabase-js)$/ },
  "control-plane": { rooms: ["protocol", "auth"], packages: /^(?!drizzle-orm|@libsql|libsql|node:)/ },
  // Within the control plane only the store knows the database, and the domain is pure.
  "control-plane/domain": { rooms: ["protocol", "auth"], packages: /^zod$/, alone: true },
  "control-plane/store": { rooms: ["protocol", "auth"] },
  "data-plane": dataPlane,
  // Who has authority does not depend on how the master is spoken to.
  "data-plane/authority": { ...dataPlane, never: ["data-plane/master-link"] },
  "data-plane/fragments": { rooms: ["protocol"], packages: /^$/, alone: true },
  // Handovers build on sessions, not these on them.
  "data-plane/session": { ...dataPlane, never: ["data-plane/handover"] },
  clients: { rooms: ["protocol"], packages: /^node:/ },
  console: { rooms: [], packages: /^$/ },
  cli: { rooms: ["*"] },
  dev: { rooms: ["*"] },
  examples: { rooms: ["*"] },
  test: { rooms: ["*"] },
};

const root = normalize(join(import.meta.dirname, "../.."));
const faults: string[] = [];
let files = 0;

for (const folder of new Set(Object.keys(rooms).map((room) => room.split("/")[0] ?? room))) {
  for (const entry of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
    if (!entry.endsWith(".ts") || entry.endsWith(".d.ts") || entry.includes("node_modules")) continue;
    files += 1;
    checkFile(join(folder, entry).split(sep).join("/"));
  }
}

for (const fault of faults) console.error(fault);
console.log(`import directions: ${files} files, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;

function checkFile(file: string): void {
  const name = roomOf(file);
  const room = name === undefined ? undefined : rooms[name];
  if (name === undefined || room === undefined) return;
  const isTest = /\.test\.ts$|\/testing\//.test(file);
  for (const specifier of importsOf(file)) {
    if (specifier.startsWith(".")) {
      const target = normalize(join(dirname(file), specifier))
        .split(sep)
        .join("/");
      if (!mayImport(name, room, target, isTest)) faults.push(`${file}: ${name} must not import ${target}`);
    } else if (!isTest && room.packages !== undefined && !room.packages.test(specifier)) {
      faults.push(`${file}: ${name} must not import the package ${specifier}`);
    }
  }
}

function mayImport(name: string, room: Room, target: string, isTest: boolean): boolean {
  if (room.rooms.includes("*")) return true;
  const top = target.split("/")[0] ?? target;
  if (top === name.split("/")[0]) {
    if (isTest) return true;
    if (room.alone === true) return target.startsWith(`${name}/`);
    return room.never?.some((part) => target.startsWith(`${part}/`)) !== true;
  }
  return room.rooms.includes(top) || (isTest && ["protocol", "auth", "clients", "dev", "test"].includes(top));
}

function roomOf(file: string): string | undefined {
  return Object.keys(rooms)
    .filter((room) => file === room || file.startsWith(`${room}/`))
    .sort((a, b) => b.length - a.length)[0];
}

function importsOf(file: string): string[] {
  const { module, errors } = parseSync(file, readFileSync(join(root, file), "utf8"));
  for (const error of errors) faults.push(`${file}: ${error.message}`);
  const source = readFileSync(join(root, file), "utf8");
  const found = module.staticImports.map((entry) => entry.moduleRequest.value);
  for (const entry of module.staticExports.flatMap((item) => item.entries)) {
    if (entry.moduleRequest !== null) found.push(entry.moduleRequest.value);
  }
  for (const entry of module.dynamicImports) {
    found.push(source.slice(entry.moduleRequest.start, entry.moduleRequest.end).replaceAll(/["'`]/g, ""));
  }
  return found.map((specifier) => (specifier.startsWith(root) ? `./${relative(root, specifier)}` : specifier));
}

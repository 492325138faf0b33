import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

let root = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "sustenet-ids-"));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

// The ids of these samples are put together here, so that the check does not take them for this project's own.
const id = (name: string): string => `[${name}]`;
const rule = (name: string): string => `- **${id(name)}** A rule.\n`;

it("passes when each id is defined once and quoted by a test", () => {
  write("docs/PROTOCOL.md", rule("AREA-1"));
  write("docs/SECURITY.md", rule("OTHER-12"));
  write("room/thing.ts", `// ${id("AREA-1")}\n`);
  write("room/thing.test.ts", `it("${id("AREA-1")} ${id("OTHER-12")} holds", () => {});\n`);
  expect(check()).toEqual({ status: 0, faults: [] });
});

it("does not need every document", () => {
  write("docs/PROTOCOL.md", rule("AREA-1"));
  write("room/thing.test.ts", `it("${id("AREA-1")} holds", () => {});\n`);
  expect(check().status).toBe(0);
});

it("names an id that no test quotes, and takes neither a comment nor other code for a test", () => {
  write("docs/PROTOCOL.md", rule("AREA-1") + rule("AREA-2"));
  write("room/thing.ts", `export const text = "${id("AREA-1")}";\n`);
  write("room/thing.test.ts", `// ${id("AREA-1")}\nit("${id("AREA-2")} holds", () => {});\n`);
  expect(check()).toEqual({ status: 1, faults: [`docs/PROTOCOL.md: ${id("AREA-1")} is quoted by no test`] });
});

it("names the place of an id that no document defines", () => {
  write("docs/PROTOCOL.md", `${rule("AREA-1")}See ${id("AREA-9")}.\n`);
  write("room/thing.test.ts", `it("${id("AREA-1")} holds", () => {});\nit("${id("AREA-2")} holds", () => {});\n`);
  expect(check()).toEqual({
    status: 1,
    faults: [
      `docs/PROTOCOL.md:2: ${id("AREA-9")} is defined by no document`,
      `room/thing.test.ts:2: ${id("AREA-2")} is defined by no document`,
    ],
  });
});

it("names an id that is defined twice", () => {
  write("docs/PROTOCOL.md", rule("AREA-1") + rule("AREA-1"));
  write("room/thing.test.ts", `it("${id("AREA-1")} holds", () => {});\n`);
  expect(check().faults).toEqual([`docs/PROTOCOL.md: ${id("AREA-1")} is defined twice`]);
});

it("passes over installed packages and plain brackets", () => {
  write("docs/PROTOCOL.md", `${rule("AREA-1")}A class [A-9] and [a link](somewhere).\n`);
  write("node_modules/x/index.ts", `// ${id("FOREIGN-1")}\n`);
  write("room/thing.test.ts", `it("${id("AREA-1")} holds", () => {});\n`);
  expect(check().status).toBe(0);
});

function write(file: string, text: string): void {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), text);
}

function check(): { status: number | null; faults: string[] } {
  const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, "ids.ts"), root], {
    encoding: "utf8",
    timeout: 10_000,
  });
  return { status, faults: stderr.split("\n").filter((line) => line !== "") };
}

import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createStateDir } from "./state-dir.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sustenet-state-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("makes the folder and those above it, for their owner alone", () => {
  const path = createStateDir(join(folder, "a", "b"));
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(statSync(join(folder, "a")).mode & 0o777).toBe(0o700);
  expect(createStateDir(path)).toBe(path);
});

it("says why it cannot, and what to do", () => {
  writeFileSync(join(folder, "file"), "");
  expect(() => createStateDir(join(folder, "file", "below"))).toThrow(/cannot be made \(ENOTDIR\): name another/);
});

it("says that what is there is no folder", () => {
  writeFileSync(join(folder, "file"), "");
  expect(() => createStateDir(join(folder, "file"))).toThrow(/file cannot be used \(ENOTDIR\): name another/);
});

it.runIf(process.platform === "linux")("gives up at once where the system makes no folders", () => {
  expect(() => createStateDir("/proc/sustenet")).toThrow(/cannot be made/);
});

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { lockState } from "./state-lock.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sustenet-lock-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const holder = { pid: 4711, command: "npm start" };

it("lets one in at a time, and says in one line who it is", () => {
  const lock = lockState(folder, "stack", holder);
  const message = `the state folder ${folder} is in use by process 4711 (npm start): stop that first, or name another folder with --state DIR`;
  expect(() => lockState(folder, "stack", { pid: 1, command: "x" })).toThrow(message);
  lockState(folder, "master", holder).release();
  lock.release();
  lockState(folder, "stack", holder).release();
});

it("takes over from a process that was killed", async () => {
  const script = `import { lockState } from ${JSON.stringify(join(import.meta.dirname, "state-lock.ts"))};
lockState(${JSON.stringify(folder)}, "stack", { pid: process.pid, command: "npm start" });
process.stdout.write("held"); setInterval(() => {}, 1_000);`;
  const child = spawn(join(import.meta.dirname, "../node_modules/.bin/node"), ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  expect(() => lockState(folder, "stack", holder)).toThrow(`in use by process ${child.pid} (npm start)`);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
  lockState(folder, "stack", holder).release();
});

it.runIf(process.platform === "linux")("says in one line that a folder cannot be written to", () => {
  expect(() => lockState("/proc/self", "stack", holder)).toThrow(
    /^the state folder \/proc\/self cannot be used \(.+\): name another/,
  );
});

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

/** A process that takes the lock, keeps nothing of it, and says when it has it. */
async function startHolder(then = "") {
  const script = `import { lockState } from ${JSON.stringify(join(import.meta.dirname, "state-lock.ts"))};
lockState(${JSON.stringify(folder)}, "stack", { pid: process.pid, command: "npm start" });
${then}
process.stdout.write("held"); setInterval(() => {}, 1_000);`;
  const flags = ["--expose-gc", "--input-type=module"];
  const child = spawn(join(import.meta.dirname, "../node_modules/.bin/node"), [...flags, "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return { pid: child.pid, kill };
}

it("takes over from a process that was killed", async () => {
  const { pid, kill } = await startHolder();
  expect(() => lockState(folder, "stack", holder)).toThrow(`in use by process ${pid} (npm start)`);
  await kill();
  lockState(folder, "stack", holder).release();
});

it("is held until the end of the process, however long that runs", async () => {
  const { pid, kill } = await startHolder(
    "for (let turn = 0; turn < 5; turn += 1) await new Promise((go) => setImmediate(() => { gc(); go(); }));",
  );
  try {
    expect(() => lockState(folder, "stack", holder).release()).toThrow(`in use by process ${pid} (npm start)`);
  } finally {
    await kill();
  }
});

it.runIf(process.platform === "linux")("says in one line that a folder cannot be written to", () => {
  expect(() => lockState("/proc/self", "stack", holder)).toThrow(
    /^the state folder \/proc\/self cannot be used \(.+\): name another/,
  );
});

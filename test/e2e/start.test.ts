import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { killGroup } from "../../dev/process.ts";
import { type RunningCommand, startCommand } from "../support/command.ts";

let stateDir: string;
let running: RunningCommand | undefined;

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "sustenet-start-"));
});

afterEach(async () => {
  if (running?.child.exitCode === null) {
    running.child.kill("SIGTERM");
    await running.ended;
  }
  running = undefined;
  rmSync(stateDir, { recursive: true, force: true });
});

function npmStart(...args: string[]): RunningCommand {
  running = startCommand("dev/start.ts", [...args, "--state", stateDir]);
  return running;
}

/** Process ids of everything that runs from this test's state folder. */
function leftovers(): Promise<string> {
  return new Promise((resolve) => {
    execFile("pgrep", ["-f", stateDir], (_error, stdout) => resolve(stdout.trim()));
  });
}

describe("npm start", () => {
  it("runs bounded, loses nothing, and ends with one line of JSON", async () => {
    const start = npmStart("--players", "8", "--clusters", "2", "--seconds", "3", "--json");
    expect(await start.ended, start.stderr.join("\n")).toBe(0);
    expect(start.stdout).toHaveLength(1);
    const summary: unknown = JSON.parse(start.stdout[0] ?? "");
    expect(summary).toMatchObject({ players: 8, joined: 8, lost: 0, duplicated: 0 });
    expect(summary).toHaveProperty("rttMs.p50", expect.any(Number));
    expect(summary).toHaveProperty("rttMs.p99", expect.any(Number));
    expect(summary).toHaveProperty(
      "sent",
      expect.toSatisfy((sent: number) => sent >= 8 * 10),
    );
    expect(await leftovers()).toBe("");
  });

  it("loses nobody when the master is killed after the joins", async () => {
    const start = npmStart("--players", "8", "--clusters", "2", "--seconds", "6", "--json");
    const [, pid] = await start.line(/master +process (\d+)/);
    await start.line(/they play/);
    killGroup(Number(pid));
    await start.line(/master +ended \(SIGKILL\)/);
    expect(await start.ended, start.stderr.join("\n")).toBe(0);
    expect(JSON.parse(start.stdout.at(-1) ?? "")).toMatchObject({ joined: 8, lost: 0, duplicated: 0, rejoined: 0 });
    expect(await leftovers()).toBe("");
  });

  it("runs until Ctrl-C and then stops everything", async () => {
    const start = npmStart("--players", "4", "--clusters", "1");
    await start.line(/4 joined, \d+ sent, [1-9]/);
    start.child.kill("SIGINT");
    expect(await start.ended).toBe(0);
    expect(start.stdout.at(-1)).toMatch(/everything is stopped/);
    expect(await leftovers()).toBe("");
  });

  it.each([
    [["--players", "many"], /--players takes a whole number from 0 to 1000, not "many"/],
    [["--clusters", "0"], /--clusters takes a whole number/],
    [["--unheard-of"], /--unheard-of/],
  ])("refuses %j with exit code 2", async (args, message) => {
    const start = npmStart(...args);
    expect(await start.ended).toBe(2);
    expect(start.stderr.join("\n")).toMatch(message);
  });
});

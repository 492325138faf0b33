import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { killGroup } from "../../dev/process.ts";
import { startCluster, startMaster } from "../../dev/stack.ts";
import { type RunningCommand, startCommand } from "../support/command.ts";
import { eventually } from "../support/eventually.ts";
import { processesWith } from "../support/processes.ts";

const summarySchema = z.looseObject({
  sent: z.number(),
  received: z.number(),
  lost: z.number(),
  rejoined: z.number(),
  handovers: z.number(),
});

const runVariable = "SUSTENET_TEST_RUN";
let stateDir: string;
let run: string;
let running: RunningCommand[];
let servers: Server[];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "sustenet-start-"));
  run = randomUUID();
  running = [];
  servers = [];
});

afterEach(async () => {
  for (const { child, ended } of running) {
    if (child.exitCode === null) child.kill("SIGTERM");
    await ended;
  }
  for (const server of servers) server.close();
  rmSync(stateDir, { recursive: true, force: true });
});

function begin(file: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCommand {
  const command = startCommand(file, args, { env: { ...env, [runVariable]: run } });
  running.push(command);
  return command;
}

function npmStart(...args: string[]): RunningCommand {
  return begin("dev/start.ts", args.includes("--state") ? args : [...args, "--state", stateDir]);
}

/**
 * Takes a port, one of its own or a certain one, until the test's end. Where others have that one it waits for it: they may be about to
 * end. Those who keep it are as good.
 */
async function occupy(port = 0): Promise<number> {
  return eventually(async () => listenOn(port)).catch(() => port);
}

function listenOn(port: number): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(port, "127.0.0.1", () => {
      servers.push(server);
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

/** Whatever this test has started and still runs, workerd included. */
function leftovers(): string[] {
  return processesWith(runVariable, run);
}

describe("npm start", () => {
  it("runs bounded, loses nothing, and ends with one line of JSON", async () => {
    const start = npmStart("--players", "8", "--clusters", "2", "--seconds", "3", "--json");
    expect(await start.ended, start.stderr.join("\n")).toBe(0);
    expect(start.stdout).toHaveLength(1);
    const summary: unknown = JSON.parse(start.stdout[0] ?? "");
    expect(summary).toMatchObject({ players: 8, joined: 8, lost: 0, duplicated: 0, rejoined: 0 });
    expect(summary).toHaveProperty("handovers", expect.any(Number));
    expect(summary).toHaveProperty(
      "entityUpdates",
      expect.toSatisfy((updates: number) => updates > 0),
    );
    expect(summary).toHaveProperty("rttMs.p50", expect.any(Number));
    expect(summary).toHaveProperty("rttMs.p99", expect.any(Number));
    expect(summary).toHaveProperty(
      "sent",
      expect.toSatisfy((sent: number) => sent >= 8 * 10),
    );
    expect(leftovers()).toEqual([]);
  });

  it("loses nobody when the master is killed after the joins", async () => {
    const start = npmStart("--players", "8", "--clusters", "2", "--seconds", "6", "--json");
    const [, pid] = await start.line(/master +process (\d+)/);
    await start.line(/they play/);
    killGroup(Number(pid));
    await start.line(/master +ended \(SIGKILL\)/);
    expect(await start.ended, start.stderr.join("\n")).toBe(0);
    expect(JSON.parse(start.stdout.at(-1) ?? "")).toMatchObject({ joined: 8, lost: 0, duplicated: 0, rejoined: 0 });
    expect(leftovers()).toEqual([]);
  });

  it("[ALLOC-12] brings everybody to another cluster within seconds when one is killed, and counts honestly", async () => {
    const start = npmStart("--players", "8", "--clusters", "2", "--seconds", "100", "--json");
    // They cross the border between the two all the time.
    await start.line(/8 of 8 connected, .*, [1-9]\d* handed over/);
    // Where the load puts them is not said: one that has players.
    const [, name] = await start.line(/joined (cluster-\d) in/);
    const [, pid] = await start.line(new RegExp(`${name} +process (\\d+)`));
    process.kill(Number(pid), "SIGKILL");
    await start.line(new RegExp(`${name} +ended \\(SIGKILL\\)`));
    // The line says who is in the game now: it falls when the cluster dies, and all are back before the end.
    await start.line(/[0-7] of 8 connected/);
    const lastConnected = () =>
      start.stderr.findLast((line) => line.includes(" of 8 connected"))?.match(/(\d) of 8/)?.[1];
    await expect.poll(lastConnected).toBe("8");
    start.child.kill("SIGINT");
    const code = await start.ended;
    const summary = summarySchema.parse(JSON.parse(start.stdout.at(-1) ?? ""));
    expect(summary).toMatchObject({ players: 8, joined: 8, connected: 8, duplicated: 0 });
    expect(summary.rejoined).toBeGreaterThanOrEqual(1);
    expect(summary.handovers).toBeGreaterThanOrEqual(1);
    expect(summary.lost).toBe(summary.sent - summary.received);
    expect(code).toBe(summary.lost === 0 ? 0 : 1);
  });

  it("runs until Ctrl-C and then stops everything", async () => {
    const start = npmStart("--players", "4", "--clusters", "1");
    await start.line(/4 of 4 connected, \d+ sent, [1-9]/);
    start.child.kill("SIGINT");
    expect(await start.ended).toBe(0);
    expect(start.stdout.at(-1)).toMatch(/everything is stopped/);
    expect(leftovers()).toEqual([]);
  });

  it("leaves nothing behind when Ctrl-C is pressed twice", async () => {
    const start = npmStart("--players", "2", "--clusters", "1");
    await start.line(/they play/);
    expect(leftovers().some((process) => process.includes("workerd"))).toBe(true);
    start.child.kill("SIGINT");
    await start.line(/once more to stop at once/);
    start.child.kill("SIGINT");
    expect(await start.ended).toBe(130);
    await expect.poll(leftovers).toEqual([]);
  });

  it.each([/building the Worker/, /ready at/])("is called off by Ctrl-C while it starts, at %s", async (line) => {
    const start = npmStart("--players", "2", "--clusters", "2");
    await start.line(line);
    start.child.kill("SIGINT");
    expect(await start.ended).toBe(0);
    expect(start.stdout.at(-1)).toMatch(/everything is stopped/);
    expect(start.stdout.join("\n")).not.toMatch(/failed|they play/);
    await expect.poll(leftovers).toEqual([]);
  });

  it("does not run twice on one state folder", async () => {
    const first = npmStart("--players", "1", "--clusters", "1");
    await first.line(/they play/);
    const second = npmStart("--players", "1", "--clusters", "1");
    expect(await second.ended).toBe(1);
    const refusal = `the state folder ${stateDir} is in use by process ${first.child.pid} (npm start)`;
    expect(second.stdout.filter((line) => line.includes("failed"))).toEqual([expect.stringContaining(refusal)]);
    const master = begin("dev/master.ts", ["--state", stateDir]);
    expect(await master.ended).toBe(1);
    expect(master.stderr).toEqual([expect.stringContaining(refusal)]);

    first.child.kill("SIGKILL");
    await first.ended;
    await expect.poll(leftovers).toEqual([]);
    const third = npmStart("--players", "1", "--clusters", "1", "--seconds", "1");
    expect(await third.ended, third.stdout.join("\n")).toBe(0);
  });

  it("leaves no workerd behind where the master alone is killed", async () => {
    const master = begin("dev/master.ts", ["--state", stateDir, "--port", "0"]);
    const [, url = ""] = await master.line(/ready at (\S+)/);
    const answers = async () =>
      fetch(`${url}/health`).then(
        () => true,
        () => false,
      );
    expect(await answers()).toBe(true);
    master.child.kill("SIGKILL");
    await master.ended;
    await expect.poll(leftovers).toEqual([]);
    expect(await answers()).toBe(false);
  });

  it("plays on its own clusters, whatever else is registered at its master", async () => {
    const say = (): void => undefined;
    const master = await startMaster({ stateDir, port: 0, say });
    const program = join(import.meta.dirname, "../../examples/minimal/cluster.ts");
    const foreign = await startCluster({ stateDir: join(stateDir, "foreign"), number: 1, program, master, say });
    // It cannot deregister: to the next run it is one that lives, at the port that cluster-1 takes.
    killGroup(foreign.pid);
    await master.stop();
    const start = npmStart("--players", "4", "--clusters", "1", "--seconds", "1", "--json");
    expect(await start.ended, start.stderr.join("\n")).toBe(0);
    expect(JSON.parse(start.stdout[0] ?? "")).toMatchObject({ joined: 4, lost: 0, duplicated: 0 });
  });

  it("runs beside another that starts at the same moment", async () => {
    const bounded = ["--players", "2", "--clusters", "2", "--seconds", "2", "--json"];
    const stacks = ["a", "b"].map((name) => npmStart(...bounded, "--state", join(stateDir, name)));
    for (const stack of stacks) {
      expect(await stack.ended, stack.stderr.join("\n")).toBe(0);
      expect(JSON.parse(stack.stdout[0] ?? "")).toMatchObject({ joined: 2, lost: 0, duplicated: 0 });
    }
  });

  it("tries another port when its own is taken between two looks at it", async () => {
    const [tried, taken] = [join(stateDir, "tried-port"), join(stateDir, "taken-port")];
    // What the runtime says when it has bound the port beside another process, and that one listens first.
    const refusal = 'Socket "entry": listen(): Address already in use (os error 98)';
    const runtime = `#!/bin/sh
      if [ ! -e ${tried} ]; then
        for argument; do case "$argument" in --socket-addr=entry=*) echo "\${argument##*:}" > ${tried}.new ;; esac; done
        mv ${tried}.new ${tried}
        until [ -e ${taken} ]; do sleep 0.02; done
        echo '${JSON.stringify({ timestamp: "0", level: "error", message: refusal })}' >&2
        exit 1
      fi
      exec ${join(import.meta.dirname, "../../node_modules/.bin/workerd")} "$@"`;
    const late = join(stateDir, "late-runtime");
    writeFileSync(late, runtime, { mode: 0o755 });
    const start = begin(
      "dev/start.ts",
      ["--players", "1", "--clusters", "1", "--seconds", "1", "--state", join(stateDir, "state")],
      {
        MINIFLARE_WORKERD_PATH: late,
      },
    );
    const port = await eventually(async () => Number(readFileSync(tried, "utf8")));
    await listenOn(port);
    writeFileSync(taken, "");
    expect(await start.ended, start.stdout.join("\n")).toBe(0);
    expect(start.stdout.join("\n")).toMatch(new RegExp(`port ${port} is taken; trying \\d+ instead`));
  });

  it("says that a default port is taken, and takes another", async () => {
    await Promise.all([occupy(6256), occupy(6257)]);
    const start = npmStart("--players", "1", "--clusters", "1", "--seconds", "1");
    expect(await start.ended, start.stdout.join("\n")).toBe(0);
    const output = start.stdout.join("\n");
    expect(output).toMatch(/port 6256 is taken; trying \d+ instead/);
    expect(output).toMatch(/cluster-1 +port 6257 is taken; it takes one that is free instead/);
  });

  it("refuses a port that was asked for and is taken", async () => {
    const port = await occupy();
    const start = npmStart("--port", String(port));
    expect(await start.ended).toBe(1);
    expect(start.stdout.filter((line) => line.includes("failed"))).toEqual([
      expect.stringContaining(`port ${port} is taken: stop what uses it, or name another with --port N`),
    ]);
    const master = begin("dev/master.ts", ["--state", stateDir, "--port", String(port)]);
    expect(await master.ended).toBe(1);
    expect(master.stderr).toEqual([expect.stringContaining(`port ${port} is taken`)]);
    expect(leftovers()).toEqual([]);
  });

  it.each([
    ["secrets.json", /secrets\.json cannot be used \(not what this program wrote there\)/],
    ["turso.db", /cannot open the database .*turso\.db/],
    ["supabase-auth.db", /cannot open its state .*supabase-auth\.db/],
    ["stack.lock", /cannot be used/],
  ])("says in one line that it cannot read %s", async (file, message) => {
    writeFileSync(join(stateDir, file), "not what it should be");
    const start = npmStart();
    expect(await start.ended).toBe(1);
    expect(start.stderr).toEqual([]);
    expect(start.stdout.filter((line) => message.test(line))).toHaveLength(1);
    expect(start.stdout.join("\n")).not.toMatch(/^ +at /m);
  });

  it("says in one line that it may not write to the state folder", async () => {
    const start = npmStart("--state", "/proc/self");
    expect(await start.ended).toBe(1);
    expect(start.stdout.join("\n")).toMatch(/failed: the state folder \/proc\/self cannot be used/);
    const master = begin("dev/master.ts", ["--state", "/proc/self"]);
    expect(await master.ended).toBe(1);
    expect(master.stderr).toEqual([expect.stringContaining("the state folder /proc/self cannot be used")]);
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

it.each(["dev/start.ts", "dev/master.ts", "dev/clean.ts", "test/run.ts", "cli/sustenet.ts"])(
  "%s explains itself",
  async (file) => {
    const command = begin(file, ["--help"]);
    expect(await command.ended).toBe(0);
    expect(command.stdout[0]).toMatch(/^(npm (start|run|test)|sustenet COMMAND)/);
    expect(command.stderr).toEqual([]);
  },
);

describe("npm run clean", () => {
  it("wipes nothing under a running stack", async () => {
    const start = npmStart("--players", "1", "--clusters", "1");
    await start.line(/they play/);
    const refused = begin("dev/clean.ts", ["--state", stateDir]);
    expect(await refused.ended).toBe(1);
    expect(refused.stderr).toEqual([
      expect.stringContaining(
        `nothing was wiped: the state folder ${stateDir} is in use by process ${start.child.pid}`,
      ),
    ]);
    start.child.kill("SIGINT");
    expect(await start.ended).toBe(0);
    expect(await begin("dev/clean.ts", ["--state", stateDir]).ended).toBe(0);
    expect(existsSync(stateDir)).toBe(false);
    const again = begin("dev/clean.ts", ["--state", stateDir]);
    expect(await again.ended).toBe(0);
    expect(again.stdout).toEqual([`there is nothing to wipe: ${stateDir} does not exist`]);
  });

  it("wipes no folder that no stack has made", async () => {
    writeFileSync(join(stateDir, "thesis.txt"), "years of work");
    const clean = begin("dev/clean.ts", ["--state", stateDir]);
    expect(await clean.ended).toBe(1);
    expect(clean.stderr.join("\n")).toMatch(/no stack has made/);
    expect(existsSync(join(stateDir, "thesis.txt"))).toBe(true);
  });
});

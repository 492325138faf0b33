import { existsSync, readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { closeCodes, encodeMessage } from "../../protocol/index.ts";
import { ProgramRunner } from "../testing/program-runner.ts";
import { TestClient } from "../testing/test-client.ts";
import { until } from "../testing/until.ts";
import { LogBook, testSettings } from "../testing/test-cluster.ts";
import { instanceIndex, settingsOfInstance } from "./instance.ts";
import { defaultRestartRules } from "./restart-policy.ts";
import { Supervisor } from "./supervisor.ts";

let runner: ProgramRunner;
beforeEach(async () => {
  runner = await ProgramRunner.create();
});
afterEach(() => runner.remove());

async function enter(instance: string): Promise<TestClient> {
  const client = await TestClient.open(runner.target(instance));
  client.join(await runner.master.ticket({ boot: runner.master.boots.get(instance) ?? 0 }));
  await client.next("welcome");
  return client;
}

/** Processes that this one has started, by Linux. */
async function childrenOf(pid: number | undefined): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.trim().split(" ").map(Number);
}

/** @param signal what it is sent if it does */
function lives(pid: number, signal: NodeJS.Signals | 0 = 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

const names = (): string[] => [...runner.master.boots.keys()].toSorted();

describe("a supervisor of two instances", () => {
  it("registers each under its own name and port, passes SIGTERM on, and ends with 0 when both have", async () => {
    await runner.enrol();
    const run = await runner.run(runner.config("instances = 2", "drain_seconds = 1"));
    await runner.event(run, "ready", 2);
    expect(names()).toEqual(["main-1", "main-2"]);
    const lines = runner.events(run, "ready").map(({ instance }) => instance);
    expect(new Set(lines)).toEqual(new Set(["main-1", "main-2"]));
    const clients = [await enter("main-1"), await enter("main-2")];
    expect(runner.target("main-1").port).not.toBe(runner.target("main-2").port);
    run.child.kill("SIGTERM");
    for (const client of clients) expect((await client.next("close")).code).toBe(closeCodes.SHUTTING_DOWN.number);
    expect(await runner.ended(run)).toBe(0);
    expect(runner.master.deregistered).toBe(2);
  });

  it("starts one again that was killed, and the other never notices", async () => {
    await runner.enrol();
    const run = await runner.run(runner.config("instances = 2"));
    await runner.event(run, "ready", 2);
    const bystander = await enter("main-1");
    const victim = await enter("main-2");
    const before = runner.master.boots.get("main-2");
    const pids = await childrenOf(run.child.pid);
    expect(pids).toHaveLength(2);
    const registeredBefore = runner.master.registrations.length;
    const second = pids.filter((pid) =>
      readFileSync(`/proc/${pid}/environ`, "utf8").includes("SUSTENET_INSTANCE_INDEX=1"),
    );
    expect(second).toHaveLength(1);
    process.kill(second[0] ?? 0, "SIGKILL");
    await victim.gone();
    await until("another registration", () => runner.master.registrations.length > registeredBefore);
    expect(runner.master.boots.get("main-2")).toBeGreaterThan(before ?? 0);
    expect(runner.events(run, "instance-ended")).toMatchObject([{ instance: "main-2", signal: "SIGKILL" }]);
    expect(bystander.closed).toBe(false);
    await runner.event(run, "ready", 3);
    await enter("main-2");
    run.child.kill("SIGINT");
    expect(await runner.ended(run)).toBe(0);
  });

  it("leaves no orphans when it is killed itself", async () => {
    await runner.enrol();
    const run = await runner.run(runner.config("instances = 2", "drain_seconds = 0"));
    await runner.event(run, "ready", 2);
    const pids = await childrenOf(run.child.pid);
    run.child.kill("SIGKILL");
    for (const pid of pids) await until(`the end of ${pid}`, () => !lives(pid));
    expect(runner.master.deregistered).toBe(2);
  });

  it("leaves none where it is killed before they have started", async () => {
    await runner.enrol();
    const program = await runner.write(
      '{ onStart: () => new Promise((done) => { console.log("begun"); setTimeout(done, 1_000); }) }',
    );
    const run = await runner.run(runner.config("instances = 1", "drain_seconds = 0"), { program });
    await until("the start", () => run.out.includes("begun"));
    const [pid = 0] = await childrenOf(run.child.pid);
    expect(lives(pid)).toBe(true);
    run.child.kill("SIGKILL");
    await until(`the end of ${pid}`, () => !lives(pid));
  });

  describe("that is killed leaves behind an instance", () => {
    async function leftBehind(drainSeconds: number): Promise<{ readonly pid: number; readonly client: TestClient }> {
      await runner.enrol();
      const program = await runner.write("{ onDrain: () => new Promise(() => undefined) }");
      const settings = runner.config("instances = 1", `drain_seconds = ${drainSeconds}`);
      const run = await runner.run(settings, { program });
      await runner.event(run, "ready");
      const client = await enter("main-1");
      const [pid = 0] = await childrenOf(run.child.pid);
      run.child.kill("SIGKILL");
      await runner.event(run, "supervisor-gone");
      process.kill(pid, "SIGTERM");
      return { pid, client };
    }

    it("that says goodbye though one signal comes: systemd signals what is left of a service", async () => {
      const { client } = await leftBehind(1);
      expect((await client.next("close")).code).toBe(closeCodes.SHUTTING_DOWN.number);
    });

    it("that ends at once with the second signal: nobody else could tell it", async () => {
      const { pid } = await leftBehind(600);
      await until(`the end of ${pid}`, () => !lives(pid, "SIGTERM"));
      expect(lives(pid)).toBe(false);
    });
  });

  it("says goodbye also where what stops it signals every process, as systemd does", async () => {
    await runner.enrol();
    const program = await runner.write("{ onDrain: () => new Promise(() => undefined) }");
    const run = await runner.run(runner.config("instances = 1", "drain_seconds = 1"), { program });
    await runner.event(run, "ready");
    const client = await enter("main-1");
    const [pid = 0] = await childrenOf(run.child.pid);
    process.kill(pid, "SIGTERM");
    await runner.event(run, "stopping");
    run.child.kill("SIGTERM");
    expect((await client.next("close")).code).toBe(closeCodes.SHUTTING_DOWN.number);
    expect(await runner.ended(run)).toBe(0);
    expect(runner.master.deregistered).toBe(1);
  });

  it("ends at once with a second signal, and its instance with it", async () => {
    await runner.enrol();
    const program = await runner.write("{ onDrain: () => new Promise(() => undefined) }");
    const run = await runner.run(runner.config("instances = 1", "drain_seconds = 600"), { program });
    await runner.event(run, "ready");
    run.child.kill("SIGTERM");
    await runner.event(run, "stopping");
    run.child.kill("SIGTERM");
    expect(await runner.ended(run)).toBe(1);
  });

  it("ends with 2, and both instances with it, when the port of one is taken", async () => {
    await runner.enrol();
    const holder = createServer();
    await new Promise<void>((resolve) => {
      holder.listen(0, "127.0.0.1", resolve);
    });
    const address = holder.address();
    const taken = address !== null && typeof address !== "string" ? address.port : 0;
    const run = await runner.run(runner.config("instances = 2"), { args: ["--port", String(taken - 1)] });
    expect(await runner.ended(run)).toBe(2);
    // The port before may be somebody else's by chance.
    expect(run.err).toMatch(
      new RegExp(`Cannot listen at 127.0.0.1 port (?:${taken}|${taken - 1}): another process has it`),
    );
    holder.close();
  });

  it("starts one again that cannot start, and stops at once when it is told to", async () => {
    await runner.enrol();
    const program = await runner.write('{ onStart() { throw new Error("no world"); } }');
    const run = await runner.run(runner.config("instances = 1"), { program });
    await runner.event(run, "instance-ended", 2);
    run.child.kill("SIGTERM");
    await runner.ended(run);
    expect(runner.events(run, "instance-ended")).toMatchObject([{ exitCode: 1 }, { exitCode: 1 }]);
  });

  it("gives up with 1 after so many failures in a row, and stops the others", async () => {
    await runner.enrol();
    // An instance that fails, and one that is told to stop.
    const program = join(runner.folder, "failing.ts");
    await writeFile(
      program,
      `if (process.env.SUSTENET_INSTANCE_INDEX === "0") process.exit(7);
      setInterval(() => {}, 1e6);`,
    );
    const log = new LogBook();
    const supervisor = new Supervisor({
      name: "main",
      instances: 2,
      program,
      args: [],
      environment: process.env,
      log,
      rules: { waitMs: [1, 2], stableMs: 60_000, maxFailures: 3 },
      random: () => 1,
      nowMs: () => performance.now(),
      stopTimeoutMs: 5_000,
    });
    expect(await supervisor.run()).toBe(1);
    const ends = log.lines.filter(({ fields }) => fields["event"] === "instance-ended");
    expect(ends.map(({ fields }) => fields["exitCode"])).toEqual([7, 7, 7]);
    expect(ends.at(-1)?.message).toContain("giving up");
  });

  it("kills an instance that does not stop in time, and ends with 1", async () => {
    const program = join(runner.folder, "stubborn.ts");
    const up = join(runner.folder, "up");
    await writeFile(
      program,
      `import { writeFileSync } from "node:fs";
      process.on("SIGTERM", () => {}); setInterval(() => {}, 1e6); writeFileSync(${JSON.stringify(up)}, "");`,
    );
    const log = new LogBook();
    const supervisor = new Supervisor({
      name: "main",
      instances: 1,
      program,
      args: [],
      environment: process.env,
      log,
      rules: defaultRestartRules,
      random: () => 1,
      nowMs: () => performance.now(),
      stopTimeoutMs: 500,
    });
    const ending = supervisor.run();
    await until("the instance", () => existsSync(up));
    supervisor.stop("SIGTERM");
    expect(await ending).toBe(1);
    expect(log.text()).toContain("did not stop in time: killed");
  });
});

describe("the watchdog", () => {
  it("[PLUGIN-4] kills a process whose plugin never returns, says where it is stuck, and it is started again", async () => {
    await runner.enrol();
    const program = await runner.write(
      '[{}, { name: "looper", onMessage(player, command) { if (command === 1) for (;;); player.send(command); } }]',
    );
    const run = await runner.run(runner.config("instances = 1", "watchdog_seconds = 1"), { program });
    await runner.event(run, "ready");
    const victim = await enter("main-1");
    victim.send(encodeMessage({ command: 1, payload: new Uint8Array() }));
    const line = await runner.event(run, "watchdog");
    expect(line).toMatchObject({ level: "error", stuckIn: "onMessage of plugin looper" });
    await victim.gone();
    await runner.event(run, "ready", 2);
    expect(runner.events(run, "instance-ended")).toMatchObject([{ instance: "main-1", signal: "SIGKILL" }]);
    const client = await enter("main-1");
    client.send(encodeMessage({ command: 2, payload: new Uint8Array() }));
    expect((await client.next("message")).command).toBe(2);
    run.child.kill("SIGTERM");
    expect(await runner.ended(run)).toBe(0);
  });

  it("also guards a process without a supervisor", async () => {
    await runner.enrol();
    const program = await runner.write("{ onTick(tick) { if (tick === 60) for (;;); } }");
    const run = await runner.run(runner.config("watchdog_seconds = 1"), { program });
    expect(await runner.ended(run)).toBe(null);
    expect(run.child.signalCode).toBe("SIGKILL");
    expect(run.err).toContain("stuck in onTick of plugin plugin");
  });

  it("lets a process live that is busy, and one that was stopped for a while", async () => {
    await runner.enrol();
    const program = await runner.write(
      "{ onMessage(player, command) { const end = Date.now() + 600; while (Date.now() < end); player.send(command); } }",
    );
    const run = await runner.run(runner.config("watchdog_seconds = 2"), { program });
    await runner.event(run, "ready");
    const client = await enter("main");
    for (const command of [1, 2, 3]) {
      client.send(encodeMessage({ command, payload: new Uint8Array() }));
      expect((await client.next("message")).command).toBe(command);
    }
    run.child.kill("SIGSTOP");
    await sleep(3_000);
    run.child.kill("SIGCONT");
    client.send(encodeMessage({ command: 4, payload: new Uint8Array() }));
    expect((await client.next("message")).command).toBe(4);
    run.child.kill("SIGTERM");
    expect(await runner.ended(run)).toBe(0);
  });
});

describe("an instance", () => {
  it("has a name of its own and the next ports, where there are ports", () => {
    const settings = testSettings({ port: 7_000, advertisedPort: 0, wsPort: 8_000, opsPort: 0 });
    expect(settingsOfInstance(settings, 2)).toMatchObject({
      instance: "main-3",
      port: 7_002,
      advertisedPort: 0,
      wsPort: 8_002,
      opsPort: 0,
    });
  });

  it.each([
    ["0", 0],
    ["12", 12],
    ["", undefined],
    ["-1", undefined],
    ["x", undefined],
  ])("is told its number by the environment: %j", (text, index) => {
    expect(instanceIndex({ SUSTENET_INSTANCE_INDEX: text })).toBe(index);
    expect(instanceIndex({})).toBe(undefined);
  });
});

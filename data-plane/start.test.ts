import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "smol-toml";
import { closeCodes, encodeMessage, linkCloseCodes } from "../protocol/index.ts";
import { createAuthority, issueCertificate } from "./testing/operator-files.ts";
import { type ProgramRun, ProgramRunner } from "./testing/program-runner.ts";
import { TestClient } from "./testing/test-client.ts";
import { until } from "./testing/until.ts";

let runner: ProgramRunner;
beforeEach(async () => {
  runner = await ProgramRunner.create();
});
afterEach(() => runner.remove());

/** Starts it with an enrolled key, and waits until it is registered. */
async function ready(program?: string, ...lines: string[]): Promise<ProgramRun> {
  await runner.enrol();
  const made = await runner.run(runner.config(...lines), program === undefined ? {} : { program });
  const { clusterId } = runner.master;
  expect(await runner.event(made, "ready")).toMatchObject({ clusterId, host: "127.0.0.1", port: runner.target().port });
  return made;
}

async function enter(): Promise<TestClient> {
  const client = await TestClient.open(runner.target());
  client.join(await runner.master.ticket());
  await client.next("welcome");
  return client;
}

it("serves the minimal example, and ends with 0 on SIGTERM after telling everyone", async () => {
  const made = await ready();
  const target = runner.target();
  const client = await TestClient.open(target);
  client.join(await runner.master.ticket());
  await client.next("welcome");
  client.send(encodeMessage({ command: 1, payload: Buffer.from("\u0006secret") }));
  expect(await client.next("message")).toMatchObject({ command: 20 });
  made.child.kill("SIGTERM");
  expect((await client.next("close")).code).toBe(closeCodes.SHUTTING_DOWN.number);
  expect(await runner.ended(made)).toBe(0);
  expect(runner.master.deregistered).toBe(1);
  expect(made.err).toBe("");
  expect(made.out).not.toContain("secret");
});

it("[TLS-6] announces another certificate on SIGHUP, beside the one before, and drops nobody", async () => {
  const authority = await createAuthority();
  const issued = () => issueCertificate(runner.folder, authority, { names: ["eu.example.com"] });
  const files = await issued();
  const settings = [`tls_cert = ${JSON.stringify(files.certificate)}`, `tls_key = ${JSON.stringify(files.key)}`];
  const made = await ready(undefined, ...settings);
  const client = await enter();
  const before = runner.master.registrations.at(-1)?.tls;
  await issued();
  made.child.kill("SIGHUP");
  const after = await until("another registration", () => runner.master.registrations[1]?.tls);
  // The old one is shown until no allocation is in use that knows it alone.
  expect(after.sha256).toBe(before?.sha256);
  expect(after.caPem).toContain(before?.caPem.split("-----END")[0]);
  expect(after.caPem.length).toBeGreaterThan(before?.caPem.length ?? 0);
  client.send(encodeMessage({ command: 1, payload: Buffer.from("\u0006secret") }));
  await client.next("message");
});

it("ends with 0 on SIGINT, also while the master is away", async () => {
  const made = await ready();
  await runner.master.stop();
  await until("the loss to show", () => made.out.includes("next try in"));
  made.child.kill("SIGINT");
  expect(await runner.ended(made)).toBe(0);
  await runner.master.listen();
});

it.each([
  ["FENCED newer-process", "a newer process with this key and instance has taken over; two that should both run need"],
  ["FENCED key-ended", "this key was revoked, or its time after a rotation is over (npx sustenet keys shows which)"],
])("[SEC-80] ends with 3 when the master closes its link with %s, and says what to do", async (reason, told) => {
  const made = await ready();
  await runner.master.linked();
  runner.master.endLinks(linkCloseCodes.FENCED, reason);
  expect(await runner.ended(made)).toBe(3);
  expect(made.out).toContain(`stopping: ${told}`);
});

it("lives on when a plugin's callback throws or rejects with nobody to catch it", async () => {
  const program = await runner.write(`{
      onMessage(player, command) {
        if (command === 1) setTimeout(() => { throw new Error("thrown late"); }, 0);
        if (command === 2) void Promise.reject(new Error("rejected late"));
        if (command === 3) player.send(3);
      },
    }`);
  const made = await ready(program);
  const target = runner.target();
  const client = await TestClient.open(target);
  client.join(await runner.master.ticket());
  await client.next("welcome");
  for (const command of [1, 2]) client.send(encodeMessage({ command, payload: new Uint8Array() }));
  await until("both errors", () => made.out.includes("thrown late") && made.out.includes("rejected late"));
  client.send(encodeMessage({ command: 3, payload: new Uint8Array() }));
  expect((await client.next("message")).command).toBe(3);
  made.child.kill("SIGTERM");
  expect(await runner.ended(made)).toBe(0);
});

it("ends with 2 on a bad Config.toml: line, key, and what was expected", async () => {
  const made = await runner.run('[all]\nport = "seven"\n[cluster]\nmaster_urll = "x"\n');
  expect(await runner.ended(made)).toBe(2);
  expect(made.err.split("\n")).toEqual([
    'Config.toml:2: [all] port: expected a port from 0 to 65535 (0 is the default) or "free", got text',
    "Config.toml:3: [cluster] master_url: missing, expected the master's address, as https://master.example.com",
    "Config.toml:4: [cluster] master_urll: unknown key; did you mean master_url?",
    "",
  ]);
});

it("ends with 2 when there is no key, and says how to make one", async () => {
  const made = await runner.run(runner.config());
  expect(await runner.ended(made)).toBe(2);
  expect(made.err).toBe(
    'There is no cluster key at keys/cluster_key.pem: make one with "npx sustenet keygen", and enrol it at the master.\n',
  );
});

it("ends with 2 when what plugins keep is damaged, and says which file it is", async () => {
  await runner.enrol();
  const state = join(runner.folder, "state");
  await mkdir(state);
  await writeFile(join(state, "cluster_key.main.storage"), "half of i");
  const made = await runner.run(runner.config());
  expect(await runner.ended(made)).toBe(2);
  expect(made.err).toMatch(/cluster_key\.main\.storage, which plugins keep their data in, is damaged: put a copy/);
});

it("ends with 2 when the port is taken, and says which", async () => {
  await runner.enrol();
  const holder = createServer();
  await new Promise<void>((resolve) => {
    holder.listen(0, "127.0.0.1", resolve);
  });
  const address = holder.address();
  const port = address !== null && typeof address !== "string" ? address.port : 0;
  const made = await runner.run(runner.config(), { environment: { SUSTENET_ALL_PORT: String(port) } });
  expect(await runner.ended(made)).toBe(2);
  expect(made.err).toBe(
    `Cannot listen at 127.0.0.1 port ${port}: another process has it: stop that one, or set another [all] port (--port free takes any that is free).\n`,
  );
  holder.close();
});

describe("SIGTERM", () => {
  const patient = `{
    onDrain: () => new Promise((resolve) => { globalThis.finish = resolve; }),
    onMessage(player, command) { if (command === 1) player.send(1); if (command === 2) globalThis.finish(); },
  }`;

  it("lets nobody in and those who are here play on until the plugin is done, then ends with 0", async () => {
    const made = await ready(await runner.write(patient), "drain_seconds = 60");
    const client = await enter();
    made.child.kill("SIGTERM");
    await until("the end of the registration", () => runner.master.deregistered === 1);
    const late = await TestClient.open(runner.target());
    late.join(await runner.master.ticket());
    expect((await late.next("reject")).code).toBe(closeCodes.SHUTTING_DOWN.number);
    client.send(encodeMessage({ command: 1, payload: new Uint8Array() }));
    expect((await client.next("message")).command).toBe(1);
    expect(client.types()).toEqual([]);
    client.send(encodeMessage({ command: 2, payload: new Uint8Array() }));
    expect((await client.next("close")).code).toBe(closeCodes.SHUTTING_DOWN.number);
    expect(await runner.ended(made)).toBe(0);
  });

  it("tells everyone to go at the deadline, whatever the plugin does", async () => {
    const made = await ready(await runner.write(patient), "drain_seconds = 1");
    const client = await enter();
    const startedAt = performance.now();
    made.child.kill("SIGTERM");
    expect((await client.next("close")).code).toBe(closeCodes.SHUTTING_DOWN.number);
    expect(performance.now() - startedAt).toBeGreaterThan(900);
    expect(await runner.ended(made)).toBe(0);
  });
});

describe("flags", () => {
  it("--print-config shows the settings as they are, and where each comes from", async () => {
    const made = await runner.run(
      '[all]\nserver_name = "A \\"name\\""\n[cluster]\nmaster_ip = "127.0.0.1"\nspawn = [1, 2, 3]\n',
      {
        args: ["--print-config", "--tick-hz=60", "--port", "7000", "--tls12", "false"],
        environment: { SUSTENET_CLUSTER_REGION: "eu" },
      },
    );
    expect(await runner.ended(made)).toBe(0);
    const lines = made.out.split("\n");
    expect(lines).toEqual(
      expect.arrayContaining([
        'server_name = "A \\"name\\""  # Config.toml:2',
        "port = 7000  # --port",
        'master_url = "http://127.0.0.1:6256"  # from master_ip and master_port',
        "# master_ip is part of master_url (Config.toml:4)",
        'region = "eu"  # SUSTENET_CLUSTER_REGION',
        "tick_hz = 60  # --tick-hz",
        "tls12 = false  # --tls12",
        "drain_seconds = 10  # default",
        "# ops_port is not set",
        "spawn = [1,2,3]  # Config.toml:5",
      ]),
    );
    expect(parse(made.out)).toMatchObject({ all: { port: 7000 }, cluster: { tick_hz: 60, spawn: [1, 2, 3] } });
    // What it prints gives the same again.
    const again = await runner.run(made.out, { args: ["--print-config"] });
    expect(await runner.ended(again)).toBe(0);
    expect(parse(again.out)).toEqual(parse(made.out));
  });

  it("end it with 2 where they are wrong, like everything else", async () => {
    const made = await runner.run('[cluster]\nmaster_url = "http://127.0.0.1:1"\n', {
      args: ["--tick-hzz=1", "--max-speed=fast"],
    });
    expect(await runner.ended(made)).toBe(2);
    expect(made.err.split("\n")).toEqual([
      "--max-speed: [cluster] max_speed: expected a number from 0 to 1000000000",
      "--tick-hzz: unknown flag; did you mean --tick-hz?",
      "",
    ]);
  });

  it("--config names another file", async () => {
    const made = await runner.run("", { args: ["--config", join(runner.folder, "missing.toml")] });
    expect(await runner.ended(made)).toBe(2);
    expect(made.err).toContain("missing.toml: cannot be read (ENOENT)");
  });
});

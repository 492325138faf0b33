import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { closeCodes, encodeMessage, linkCloseCodes } from "../protocol/index.ts";
import { createClusterKey } from "./keys/cluster-key.ts";
import { FakeMaster } from "./testing/fake-master.ts";
import { TestClient } from "./testing/test-client.ts";
import { until } from "./testing/until.ts";

const example = join(import.meta.dirname, "../examples/minimal/cluster.ts");

let folder: string;
let master: FakeMaster;
const running: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sustenet-"));
  master = await new FakeMaster().start();
});
afterEach(async () => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
  await master.stop();
  await rm(folder, { recursive: true });
});

interface Run {
  readonly child: ChildProcess;
  out: string;
  err: string;
  exitCode: number | null | undefined;
}

/** A program as a process of its own, in a folder with this Config.toml. */
async function run(toml: string, environment: Record<string, string> = {}, program = example): Promise<Run> {
  await writeFile(join(folder, "Config.toml"), toml);
  const child = spawn(process.execPath, [program], { cwd: folder, env: { ...process.env, ...environment } });
  running.push(child);
  const made: Run = { child, out: "", err: "", exitCode: undefined };
  child.stdout.on("data", (data: Buffer) => (made.out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (made.err += data.toString()));
  child.on("close", (code) => (made.exitCode = code));
  return made;
}

async function ended(made: Run): Promise<number | null> {
  await until("the end of the process", () => made.exitCode !== undefined, 15_000);
  return made.exitCode ?? null;
}

const config = (): string => `[all]\nport = "free"\n[cluster]\nmaster_url = "${master.url}"\nhost = "127.0.0.1"\n`;

/** Starts it with an enrolled key, and waits until it is registered. */
async function ready(program?: string): Promise<{ made: Run; target: Parameters<typeof TestClient.open>[0] }> {
  const { keyId, publicKey } = await createClusterKey(join(folder, "keys"), "cluster_key");
  master.enrolled.set(keyId, publicKey);
  const made = await run(config(), {}, program);
  const line = await until("the ready event", () => /^\{.*"event":"ready".*\}$/m.exec(made.out)?.[0], 15_000);
  const event: unknown = JSON.parse(line);
  const [registration] = master.registrations;
  if (registration === undefined) throw new Error("it did not register");
  const { port, tls } = registration;
  expect(event).toMatchObject({ event: "ready", clusterId: master.clusterId, host: "127.0.0.1", port });
  return { made, target: { port, serverName: tls.serverName, caPem: tls.caPem } };
}

it("serves the minimal example, and ends with 0 on SIGTERM after telling everyone", async () => {
  const { made, target } = await ready();
  const client = await TestClient.open(target);
  client.join(await master.ticket());
  await client.next("welcome");
  client.send(encodeMessage({ command: 1, payload: Buffer.from("\u0006secret") }));
  expect(await client.next("message")).toMatchObject({ command: 20 });
  made.child.kill("SIGTERM");
  expect((await client.next("close")).code).toBe(closeCodes.SHUTTING_DOWN.number);
  expect(await ended(made)).toBe(0);
  expect(master.deregistered).toBe(1);
  expect(made.err).toBe("");
  expect(made.out).not.toContain("secret");
});

it("ends with 0 on SIGINT, also while the master is away", async () => {
  const { made } = await ready();
  await master.stop();
  await until("the loss to show", () => made.out.includes("next try in"), 10_000);
  made.child.kill("SIGINT");
  expect(await ended(made)).toBe(0);
  await master.listen();
});

it("ends with 3 when a newer process has taken over", async () => {
  const { made } = await ready();
  await master.linked();
  master.endLinks(linkCloseCodes.FENCED);
  expect(await ended(made)).toBe(3);
  expect(made.out).toContain("a newer process with this key and instance has taken over");
});

it("lives on when a plugin's callback throws or rejects with nobody to catch it", async () => {
  const program = join(folder, "careless.ts");
  await writeFile(
    program,
    `import { start } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, "index.ts")).href)};
    await start({
      onMessage(player, command) {
        if (command === 1) setTimeout(() => { throw new Error("thrown late"); }, 0);
        if (command === 2) void Promise.reject(new Error("rejected late"));
        if (command === 3) player.send(3);
      },
    });`,
  );
  const { made, target } = await ready(program);
  const client = await TestClient.open(target);
  client.join(await master.ticket());
  await client.next("welcome");
  for (const command of [1, 2]) client.send(encodeMessage({ command, payload: new Uint8Array() }));
  await until("both errors", () => made.out.includes("thrown late") && made.out.includes("rejected late"));
  client.send(encodeMessage({ command: 3, payload: new Uint8Array() }));
  expect((await client.next("message")).command).toBe(3);
  made.child.kill("SIGTERM");
  expect(await ended(made)).toBe(0);
});

it("ends with 2 on a bad Config.toml: line, key, and what was expected", async () => {
  const made = await run('[all]\nport = "seven"\n[cluster]\nmaster_urll = "x"\n');
  expect(await ended(made)).toBe(2);
  expect(made.err.split("\n")).toEqual([
    'Config.toml:2: [all] port: expected a port from 0 to 65535 (0 is the default) or "free", got text',
    "Config.toml:3: [cluster] master_url: missing, expected the master's address, as https://master.example.com",
    "Config.toml:4: [cluster] master_urll: unknown key; did you mean master_url?",
    "",
  ]);
});

it("ends with 2 when there is no key, and says how to make one", async () => {
  const made = await run(config());
  expect(await ended(made)).toBe(2);
  expect(made.err).toBe(
    'There is no cluster key at keys/cluster_key.pem: make one with "npx sustenet keygen", and enrol it at the master.\n',
  );
});

it("ends with 2 when the port is taken, and says which", async () => {
  await createClusterKey(join(folder, "keys"), "cluster_key");
  const holder = createServer();
  await new Promise<void>((resolve) => {
    holder.listen(0, "127.0.0.1", resolve);
  });
  const address = holder.address();
  const port = address !== null && typeof address !== "string" ? address.port : 0;
  const made = await run(config(), { SUSTENET_ALL_PORT: String(port) });
  expect(await ended(made)).toBe(2);
  expect(made.err).toBe(
    `Cannot listen at 127.0.0.1 port ${port}: another process has it: stop that one, or set another [all] port.\n`,
  );
  holder.close();
});

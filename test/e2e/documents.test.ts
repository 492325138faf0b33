import { randomUUID } from "node:crypto";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { killGroup } from "../../dev/process.ts";
import { type RunningCommand, startShell } from "../support/command.ts";
import { createFreshCopy } from "../support/fresh-copy.ts";
import { type CodeBlock, codeBlocks } from "../support/markdown.ts";
import { processesWith } from "../support/processes.ts";

/**
 * Runs the documents' shell blocks as they stand, in a copy of the sources. What differs on a machine where the usual ports
 * are taken is told to the programs by their environment, never by other commands.
 */
const documents = ["README.md", "CONTRIBUTING.md", "docs/OPERATIONS.md"];
const runVariable = "SUSTENET_TEST_RUN";
const run = randomUUID();
const blocks = documents.flatMap(codeBlocks).filter(({ language, mark }) => language === "sh" && mark === "");
const taken = new Set<CodeBlock>();
const running: RunningCommand[] = [];
let copy: string;
let masterUrl: string;

beforeAll(() => {
  copy = createFreshCopy();
});

afterAll(() => {
  for (const { child } of running) if (child.pid !== undefined) killGroup(child.pid);
  rmSync(copy, { recursive: true, force: true });
});

/** The next block of a document that has not been run, and has this in it. */
function take(document: string, part: string): string {
  const block = blocks.find((one) => one.document === document && one.code.includes(part) && !taken.has(one));
  if (block === undefined) throw new Error(`${document} has no block with ${part}`);
  taken.add(block);
  return block.code;
}

function begin(script: string, env: Readonly<Record<string, string>> = {}): RunningCommand {
  const command = startShell(script, { cwd: copy, env: { [runVariable]: run, ...env } });
  running.push(command);
  return command;
}

async function finish(script: string, env?: Readonly<Record<string, string>>): Promise<string> {
  const command = begin(script, env);
  const code = await command.ended;
  const output = [...command.stdout, ...command.stderr].join("\n");
  expect(code, output).toBe(0);
  return output;
}

/** Ctrl-C: to the whole group, as a terminal does. */
async function interrupt(command: RunningCommand): Promise<void> {
  if (command.child.pid !== undefined) process.kill(-command.child.pid, "SIGINT");
  await command.ended;
}

function startMaster(script: string): Promise<RunningCommand> {
  const master = begin(script);
  return master.line(/ready at (\S+)/).then(([, url = ""]) => {
    masterUrl = url;
    return master;
  });
}

/** A cluster, with the usual ports or others. */
async function startCluster(script: string): Promise<RunningCommand> {
  const cluster = begin(script, { SUSTENET_CLUSTER_MASTER_URL: masterUrl, SUSTENET_ALL_PORT: "free" });
  await cluster.line(/"event":"ready"/);
  return cluster;
}

/** Has the player's file name the port where the master is, while it is used. */
function pointedAtMaster<T>(use: () => Promise<T>): Promise<T> {
  const file = join(copy, "examples/minimal/player.ts");
  const original = readFileSync(file, "utf8");
  expect(original).toContain("http://127.0.0.1:6256");
  writeFileSync(file, original.replace("http://127.0.0.1:6256", masterUrl));
  return use().finally(() => writeFileSync(file, original));
}

function play(script: string): Promise<string> {
  return pointedAtMaster(() => finish(script));
}

describe("the README", () => {
  it("shows the files of examples/minimal", () => {
    const [cluster, player] = codeBlocks("README.md").filter(({ language }) => language === "ts");
    expect(cluster?.code).toBe(readFileSync(join(copy, "examples/minimal/cluster.ts"), "utf8"));
    expect(player?.code).toBe(readFileSync(join(copy, "examples/minimal/player.ts"), "utf8"));
  });

  it("starts the whole stack by its first command", async () => {
    // The dependencies are here.
    const start = begin(take("README.md", "npm start").replace("npm ci && ", ""));
    await start.line(/10 of 10 connected/);
    await interrupt(start);
    expect(start.stdout.join("\n")).toMatch(/everything is stopped/);
    await expect.poll(() => processesWith(runVariable, run)).toEqual([]);
  });

  it("runs the tests by its second command, which is what .ci/run runs", () => {
    const commands = take("README.md", "npm test").trim().split(" && ");
    expect(readFileSync(join(copy, ".ci/run"), "utf8").trim().split("\n").slice(-2)).toEqual(commands);
  });

  it("has two files that find each other through a master", async () => {
    const master = await startMaster(take("README.md", "npm run master"));
    const cluster = await startCluster(take("README.md", "npx node cluster.ts"));
    const player = take("README.md", "npx node examples/minimal/player.ts");
    const output = await play(player);
    expect(output).toMatch(/Joined Default Cluster Server\nThe cluster answered with command 20/);
    await cluster.line(/Received new command: 1/);
    await cluster.line(/The passphrase has 11 characters/);
    await interrupt(cluster);
    await interrupt(master);
    const alone = await pointedAtMaster(async () => {
      const command = begin(player);
      expect(await command.ended).toBe(1);
      return command;
    });
    expect(alone.stderr).toEqual([`NETWORK: The master at ${masterUrl} cannot be reached.`]);
    const late = begin("npx sustenet keys --database .sustenet/master.env");
    expect(await late.ended).toBe(2);
    expect(late.stderr[0]).toMatch(/master\.env cannot be read: a local master writes such a file/);
    await expect.poll(() => processesWith(runVariable, run)).toEqual([]);
  });
});

describe("docs/OPERATIONS.md", () => {
  const document = "docs/OPERATIONS.md";

  it("tells how to run a cluster at a local master, and how to withdraw its key", async () => {
    const master = await startMaster("npm run master");
    const [, file = ""] = await master.line(/address and token are in (\S+)/);
    expect(file).toBe(join(copy, ".sustenet/master.env"));
    const database = Object.fromEntries(
      readFileSync(file, "utf8")
        .trim()
        .split("\n")
        .map((line) => line.split(/=(.*)/s, 2)),
    );
    const cluster = await startCluster(take(document, "npx node cluster.ts"));
    expect(cluster.stdout.join("\n")).toMatch(/^\S+ {2}my-cluster {2}enrolled$/m);
    expect(await play(take(document, "npx node examples/minimal/player.ts"))).toMatch(/answered with command 20/);

    const operator = take(document, "npm run operator").replace("http://127.0.0.1:6256", masterUrl);
    const listed = await finish(operator);
    expect(listed).toMatch(/Default Cluster Server/);
    expect(statSync(join(copy, ".sustenet/operator.token")).mode & 0o777).toBe(0o600);

    await finish(take(document, "sustenet keygen"));
    const enrolled = await finish(take(document, "sustenet enrol"), database);
    const [, keyId = ""] = enrolled.match(/enrolled (\S+) as frankfurt-1/) ?? [];
    const revoke = take(document, "sustenet revoke").replace("KEY_ID", keyId);
    expect(await finish(revoke, database)).toMatch(new RegExp(`frankfurt-1 {2}enrolled\n[^]*revoked ${keyId}`));
    await interrupt(cluster);
    await interrupt(master);
  });

  it("has a Config.toml that a cluster takes, and shows what it comes to", async () => {
    const toml = codeBlocks(document).find(({ language }) => language === "toml");
    writeFileSync(join(copy, "Config.toml"), toml?.code ?? "");
    const printed = await finish(take(document, "--print-config"));
    expect(printed).toMatch(/Frankfurt 1/);
    expect(printed).toMatch(/203\.0\.113\.7/);
  });
});

it("has run every block that needs neither accounts nor minutes", () => {
  expect(blocks.filter((block) => !taken.has(block))).toEqual([]);
});

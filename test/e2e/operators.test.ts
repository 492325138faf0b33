import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient as createDatabaseClient } from "@libsql/client/web";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createClient, type GameSession } from "../../clients/typescript/index.ts";
import { type ClusterProcess, type MasterProcess, startCluster, startMaster } from "../../dev/stack.ts";
import { exitCodes } from "../../cli/exit-codes.ts";
import { BrowserPage, chromium } from "../support/browser.ts";
import { startCommand } from "../support/command.ts";
import { operatorToken } from "../support/operator-token.ts";

/** Real master, clusters and players, and the operators' own command. */
let stateDir: string;
let master: MasterProcess;
let clusters: ClusterProcess[];
let tokenFile: string;
const metricsToken = "for-whoever-reads-metrics";
const log: string[] = [];
const say = (who: string, what: string): void => void log.push(`${who} ${what}`);

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "sustenet-operators-"));
  master = await startMaster({ stateDir, port: 0, say, environment: { METRICS_TOKEN: metricsToken } });
  clusters = await Promise.all([1, 2].map((number) => startCluster({ stateDir, number, master, say })));
  tokenFile = join(stateDir, "token");
  writeFileSync(tokenFile, await operatorToken(master.url, stateDir, log));
});

afterAll(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
  await master.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

async function sustenet(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const command = startCommand("cli/sustenet.ts", [...args], {
    env: { SUSTENET_MASTER: master.url, TURSO_DATABASE_URL: "", ...env },
  });
  const exitCode = await command.ended;
  return { exitCode, stdout: command.stdout.join("\n"), stderr: command.stderr.join("\n") };
}

/** A command that has to succeed, with its answer as JSON. */
async function ask<T>(...args: readonly string[]): Promise<T> {
  const { exitCode, stdout, stderr } = await sustenet([...args, "--token-file", tokenFile, "--json"]);
  expect(exitCode, stderr).toBe(exitCodes.DONE);
  const answer: T = JSON.parse(stdout);
  return answer;
}

interface Shown {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly players: number;
  readonly keyId: string;
}

/** A player on one cluster who counts the answers to numbered messages. */
async function play(clusterId: string): Promise<{ readonly session: GameSession; readonly rejoined: () => number }> {
  const client = createClient({ masterUrl: master.url });
  await client.login({ anonymous: true });
  const session = await client.join(await client.allocate({ clusterId }));
  let rejoined = 0;
  session.on("rejoined", () => (rejoined += 1));
  return { session, rejoined: () => rejoined };
}

describe("operators", () => {
  it("see the clusters, and are told plainly what is wrong", async () => {
    const listed = await ask<Shown[]>("clusters");
    expect(listed.map(({ state }) => state)).toEqual(["ready", "ready"]);
    const table = await sustenet(["clusters", "--token-file", tokenFile]);
    expect(table.stdout).toContain("cluster-1");
    expect(await sustenet(["clusters"])).toMatchObject({ exitCode: exitCodes.USAGE });
    const refused = await sustenet(["clusters"], { SUSTENET_TOKEN: "a.b.c" });
    expect(refused.exitCode).toBe(exitCodes.FAILED);
    expect(refused.stderr).toContain("UNAUTHENTICATED");
    expect(refused.stderr).not.toContain("a.b.c");
    const away = await sustenet(["clusters", "--master", "http://127.0.0.1:9", "--token-file", tokenFile]);
    expect(away.exitCode).toBe(exitCodes.UNREACHABLE);
  });

  // Where there is no browser the page's headers and its script are still looked at, in test/workerd/public.test.ts.
  it.runIf(chromium !== undefined)("[CONSOLE-1] [CONSOLE-2] look at all of it in a browser", async () => {
    const page = await BrowserPage.open(`${master.url}/console`);
    try {
      const text = async (id: string) => page.evaluate(`document.getElementById("${id}").innerText`);
      const signIn = async (token: string) =>
        page.evaluate(`document.getElementById("token").value = ${JSON.stringify(token)};
          document.querySelector("form button").click()`);
      const isThere = 'document.readyState === "complete" && document.getElementById("sign-in") !== null';
      await expect.poll(() => page.evaluate(isThere)).toBe(true);
      await signIn("a.b.c");
      await expect.poll(() => text("notice")).toMatch(/token/i);
      expect(await page.evaluate('document.getElementById("overview").hidden')).toBe(true);
      await page.evaluate(`for (const id of ["email", "password"]) document.getElementById(id).value = id + "@example.com";
        document.getElementById("token").value = "";
        document.querySelector("form button").click()`);
      await expect.poll(() => text("notice")).toBe("E-mail or password is wrong.");
      const token = readFileSync(tokenFile, "utf8");
      await signIn(token);
      await expect.poll(() => text("clusters")).toContain("cluster-1");
      expect(await text("capacity")).toMatch(/default\s+2\s+2/);
      expect(await text("notice")).toBe("");
      // The token is nowhere but in the page's own memory.
      const kept =
        "[location.href, document.cookie, document.documentElement.outerHTML, document.getElementById('token').value]";
      expect(JSON.stringify(await page.evaluate(kept))).not.toContain(token);
      const stores = "[localStorage.length, sessionStorage.length, history.length]";
      expect(await page.evaluate(stores)).toEqual([0, 0, 1]);
      // What somebody wrote into a name cannot become markup, not even by a fault of the page.
      const inject =
        "(() => { try { document.body.innerHTML = '<img>'; return 'taken' } catch (error) { return error.name } })()";
      expect(await page.evaluate(inject)).toBe("TypeError");
      // Whoever presses twice sees what comes next once.
      await page.evaluate(`{
        globalThis.realFetch = fetch;
        globalThis.askedForMore = 0;
        const rest = { name: "", region: "", state: "", reason: null, players: 0, seats: 0, capacity: 0, lastSignAtMs: 0 };
        globalThis.fetch = async (path, options) => {
          if (!path.startsWith("/v1/admin/clusters")) return realFetch(path, options);
          const isMore = path.includes("cursor");
          if (isMore) askedForMore += 1;
          return Response.json({ clusters: [{ id: isMore ? "later" : "sooner", ...rest }], next: isMore ? null : "next" });
        };
        document.getElementById("refresh").click();
      }`);
      await expect.poll(() => text("clusters")).toContain("sooner");
      await page.evaluate('document.getElementById("more").click(); document.getElementById("more").click()');
      await expect.poll(() => text("clusters")).toContain("later");
      expect(await page.evaluate("askedForMore")).toBe(1);
      // What could not be asked is not taken for nothing.
      await page.evaluate(`{
        globalThis.fetch = async (path, options) => {
          const answer = await realFetch(path, options);
          if (path !== "/v1/admin/capacity") return answer;
          const capacity = await answer.json();
          capacity.regions[0].shards[0].summary = null;
          return Response.json(capacity);
        };
        document.getElementById("refresh").click();
      }`);
      await expect.poll(() => text("capacity")).toMatch(/default \(in part\)[^]*all \(in part\)/);
      await page.evaluate('globalThis.fetch = realFetch; document.getElementById("refresh").click()');
      await expect.poll(() => text("clusters")).toContain("cluster-1");
      // An answer that comes after the sign-out shows nothing any more.
      await page.evaluate(`{
        const real = fetch;
        globalThis.fetch = async (path, options) => {
          if (!path.startsWith("/v1/admin/audit")) return real(path, options);
          const answer = await real(path, { ...options, signal: null });
          const words = await answer.text();
          await new Promise((go) => (globalThis.letGo = go));
          answer.text = async () => {
            setTimeout(() => (globalThis.wasRead = true));
            return words;
          };
          return answer;
        };
        document.getElementById("refresh").click();
      }`);
      await expect.poll(() => page.evaluate("typeof letGo")).toBe("function");
      await page.evaluate('document.getElementById("sign-out").click()');
      await expect.poll(() => text("clusters")).toBe("");
      await page.evaluate("letGo()");
      await expect.poll(() => page.evaluate("globalThis.wasRead")).toBe(true);
      const filled = '["capacity", "clusters", "audit"].map((id) => document.getElementById(id).textContent)';
      expect(await page.evaluate(filled)).toEqual(["", "", ""]);
      expect(await text("notice")).toBe("");
      expect(await page.evaluate('document.getElementById("sign-in").hidden')).toBe(false);
      // A token that the page did not get for itself is not ended by it.
      expect(await ask<Shown[]>("clusters")).toHaveLength(2);
    } finally {
      await page.close();
    }
  });

  it("let somebody read the metrics of a local master, by the token of its environment", async () => {
    const read = async (token: string) =>
      fetch(`${master.url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
    expect((await read("for-nobody-at-all-here")).status).toBe(401);
    expect((await read(metricsToken)).status).toBe(200);
  });

  it("drain a cluster: its players go on at another one, and the process ends", async () => {
    const listed = await ask<Shown[]>("clusters");
    const [from, to] = listed;
    if (from === undefined || to === undefined) throw new Error("there are two clusters");
    const players = await Promise.all(Array.from({ length: 5 }, () => play(from.id)));
    await ask("drain", from.id, "--move", "--deadline", "60", "--reason", "a test");
    await expect
      .poll(() => players.map(({ rejoined }) => rejoined()), { timeout: 60_000 })
      .toEqual(players.map(() => 1));
    expect(new Set(players.map(({ session }) => session.welcome.cluster))).toEqual(new Set([to.name]));
    expect(players.map(({ session }) => session.state)).toEqual(players.map(() => "joined"));
    const drained = clusters[from.name === "cluster-1" ? 0 : 1];
    await expect(drained?.ended).resolves.toBe("0");
    await expect
      .poll(async () => (await ask<Shown[]>("clusters")).map(({ id, players: count }) => ({ id, count })))
      .toEqual([{ id: to.id, count: 5 }]);
    await Promise.all(players.map(async ({ session }) => session.leave()));
  });

  it("see who was given seats where, and what became of clusters", async () => {
    const [left] = await ask<Shown[]>("clusters");
    if (left === undefined) throw new Error("one is left");
    const seats = async () =>
      ask<{ playerId: string; clusterId: string; outcome: string }[]>("history", "--cluster", left.id);
    await expect.poll(async () => (await seats()).filter(({ outcome }) => outcome === "left").length).toBe(5);
    const [seat] = await seats();
    const ofPlayer = await ask<{ clusterId: string }[]>("history", "--player", seat?.playerId ?? "", "--limit", "1");
    expect(ofPlayer.map(({ clusterId }) => clusterId)).toEqual([left.id]);
    expect(await ask("cluster-events", "--cluster", left.id)).toContainEqual(
      expect.objectContaining({ event: "registered", clusterId: left.id }),
    );
    expect((await sustenet(["history", "--token-file", tokenFile])).exitCode).toBe(exitCodes.USAGE);
  });

  it("ban a player, see it, find it on record, and are warned of an id that nobody has", async () => {
    const id = randomUUID();
    await ask("ban", id, "--reason", "cheating", "--until", "2035-01-31T00:00:00Z");
    const [state, shown, rows, mistyped] = await Promise.all([
      ask("player", id),
      sustenet(["player", id, "--token-file", tokenFile]),
      ask<{ action: string }[]>("audit", "--target", id),
      sustenet(["unban", "bla", "--token-file", tokenFile]),
    ]);
    expect(state).toMatchObject({ ban: { reason: "cheating", until: "2035-01-31T00:00:00.000Z" } });
    expect(shown.stdout).toMatch(/^banned +until 2035-01-31 00:00:00: cheating$/m);
    expect(rows.map(({ action }) => action)).toContain("player.ban");
    expect(mistyped).toMatchObject({ exitCode: exitCodes.DONE, stderr: expect.stringContaining("no UUID") });
  });

  it("decide who carries a fragment, and which key signs", async () => {
    const assign = ["assign", "main", "north"];
    const [mistyped, unknown, world, { keys }, rotated] = await Promise.all([
      sustenet([...assign, "none", "--token-file", tokenFile]),
      sustenet([...assign, "default.nobody", "--token-file", tokenFile]),
      sustenet(["world", "main", "--token-file", tokenFile]),
      ask<{ keys: { kid: string; state: string }[] }>("signing-keys"),
      sustenet(["signing-keys", "rotate", "--token-file", tokenFile]),
    ]);
    expect(mistyped).toMatchObject({
      exitCode: exitCodes.FAILED,
      stderr: expect.stringMatching(/FRAGMENT_NOT_FOUND.* npx sustenet world main shows/),
    });
    expect(world).toMatchObject({ exitCode: exitCodes.DONE, stdout: "nobody carries anything of the world main" });
    expect(unknown.stderr).toContain("CLUSTER_NOT_FOUND");
    expect(keys.map(({ state }) => state)).toContain("active");
    expect(rotated).toMatchObject({
      exitCode: exitCodes.FAILED,
      stderr: expect.stringMatching(/KEY_TOO_NEW.* in .*minute/),
    });
    const next = keys.find(({ state }) => state === "next")?.kid ?? "";
    // Behind `--`, as an id may begin with dashes.
    const revoke = (kid: string) => sustenet(["signing-keys", "revoke", "--token-file", tokenFile, "--", kid]);
    expect(await revoke(next)).toMatchObject({ exitCode: exitCodes.DONE, stdout: expect.stringContaining(next) });
    const [again, none, listed] = await Promise.all([
      revoke(next),
      revoke("no-such-key"),
      sustenet(["signing-keys", "--token-file", tokenFile]),
    ]);
    expect(again.exitCode).toBe(exitCodes.DONE);
    expect(none.stderr).toContain("npx sustenet signing-keys lists those that there are");
    expect(listed.stdout.split("\n").find((line) => line.startsWith(next))).toContain("revoked");
  });

  it("withdraw a key: what runs with it stops by itself", async () => {
    const [left] = await ask<Shown[]>("clusters");
    if (left === undefined) throw new Error("one is left");
    expect(await ask("revoke", "--key-id", left.keyId)).toMatchObject({ pendingShards: 0 });
    const cut = clusters[left.name === "cluster-1" ? 0 : 1];
    await expect(cut?.ended).resolves.toBe("3");
    expect(
      (await ask<{ keyId: string; state: string }[]>("keys")).find(({ keyId }) => keyId === left.keyId),
    ).toMatchObject({
      state: "revoked",
    });
  });

  it("find all of it in the audit log, unbroken at the master and in the database, and where it is broken", async () => {
    const { database } = master;
    const env = { TURSO_DATABASE_URL: database.url, TURSO_AUTH_TOKEN: database.authToken };
    await expect
      .poll(async () => (await sustenet(["audit", "verify", "--token-file", tokenFile], env)).stdout)
      .toMatch(/at the master: \d+ rows, unbroken\n.*in the database: \d+ rows, unbroken$/);
    const rows = await ask<{ action: string; outcome: string }[]>("audit");
    expect(rows.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual(
      expect.arrayContaining(["cluster.drain intended", "cluster.drain done", "key.revoke done"]),
    );
    const client = createDatabaseClient(database);
    await client.execute("UPDATE audit_log SET actor = 'nobody' WHERE sequence = 2");
    const broken = await sustenet(["audit", "verify"], { ...env, SUSTENET_MASTER: "" });
    expect(broken.exitCode).toBe(exitCodes.BROKEN);
    expect(broken.stdout).toContain("BROKEN at row 2");
  });
});

import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pass } from "node:timers/promises";
import { enrolClusterKey } from "../../../control-plane/store/cluster-keys.ts";
import { migrate } from "../../../control-plane/store/migrate.ts";
import { createClusterKey } from "../../../data-plane/index.ts";
import type { HandoverReading } from "../../../data-plane/handover/handover-counts.ts";
import { until } from "../../../data-plane/testing/until.ts";
import { createLocalOperator } from "../../../dev/local-operator.ts";
import { freePort } from "../../../dev/ports.ts";
import { killGroup, startProcess, type StackProcess } from "../../../dev/process.ts";
import { type MasterProcess, startMaster } from "../../../dev/stack.ts";
import { eventually } from "../eventually.ts";
import { startService } from "../start-service.ts";
import { AuthorityBook } from "./authority-book.ts";
import { DelayProxy } from "./delay-proxy.ts";
import { Endings } from "./endings.ts";
import { ErasedAccounts } from "./erased-accounts.ts";
import type { LedgerReport } from "./ledger.ts";
import { Operator } from "./operator.ts";
import { Replacements } from "./replacements.ts";

type Report =
  | LedgerReport
  | { readonly event: "step"; readonly step: string }
  | { readonly event: "linked" }
  | { readonly event: "counts"; readonly counts: HandoverReading }
  | { readonly event: "ready"; readonly clusterId: string; readonly port: number; readonly boot: number };

/** The two halves of the world: x below 0, and from 0 on. The spare can carry the east and is not there at first. */
export type Side = "west" | "east" | "spare";
export const sides: readonly Side[] = ["west", "east"];

export interface WorldCluster {
  readonly side: Side;
  clusterId: string;
  process: StackProcess;
  links: number;
  /** Whether it can hear the master at once, as far as it says. */
  hearsMaster: boolean;
  counts: HandoverReading | undefined;
  /** Steps that it has reached, the oldest first. */
  readonly steps: string[];
}

const startTimeoutMs = 60_000;
/** For so long that nobody can stand still until the master is back. */
const longerThanStill = 3_000;
/** Longest time for which a cluster plays on what was ended, once it can hear the master: an order is said again after that. */
const endingMs = 15_000;
const fragments = `
[world]
carries = ["SIDE"]
swap_dwell_ticks = 3

[[fragment]]
name = "west"
min = [-50, -50]
max = [0, 50]

[[fragment]]
name = "east"
min = [0, -50]
max = [50, 50]
`;

/** One world of two clusters and a master, all of them processes of their own, with a delay between all parties. */
export class AuditWorld {
  readonly authority = new AuthorityBook();
  readonly endings = new Endings(this.authority);
  readonly replacements = new Replacements(this.authority);
  readonly erased = new ErasedAccounts();
  readonly operator = new Operator(
    () => this.master.url,
    () => {
      const { identityUrl, secretKey } = this.#identityAddress;
      return createLocalOperator({ masterUrl: this.master.url, identityUrl, secretKey });
    },
  );
  /** Who was told by a cluster that leaves to go elsewhere, since that was looked at last. */
  readonly dismissed = new Set<string>();
  readonly faults: string[] = [];
  readonly log: string[] = [];
  readonly clusters = new Map<Side, WorldCluster>();
  readonly #stateDir = mkdtempSync(join(tmpdir(), "sustenet-handover-"));
  readonly #delayMs: number;
  readonly #proxies = new Map<Side, { readonly players: DelayProxy; readonly peers: DelayProxy }>();
  readonly #ended = new Set<StackProcess>();
  readonly #databaseToken = randomUUID();
  readonly #identityKeys = { publishableKey: `sb_publishable_${randomUUID()}`, secretKey: `sb_secret_${randomUUID()}` };
  #identityPort = 0;
  #identity: StackProcess | undefined;
  #databasePort = 0;
  #database: StackProcess | undefined;
  #databaseStarted: Promise<void> = Promise.resolve();
  #masterStarted: Promise<void> = Promise.resolve();
  #master: MasterProcess | undefined;
  /** What each cluster's game is told. */
  #rules: readonly object[] = [];

  /** @param delayMs each way, between any two parties */
  constructor(delayMs: number) {
    this.#delayMs = delayMs;
  }

  get master(): MasterProcess {
    if (this.#master === undefined) throw new Error("the master has not been started");
    return this.#master;
  }

  async start(): Promise<void> {
    this.#databasePort = await freePort("127.0.0.1");
    this.#identityPort = await freePort("127.0.0.1");
    await Promise.all([this.#startDatabase(), this.#startIdentity()]);
    await migrate(this.#databaseAddress);
    await this.startMaster();
    await Promise.all(sides.map((side) => this.startCluster(side)));
    const isLinked = (): boolean => [...this.clusters.values()].every(({ links }) => links > 0);
    await this.until("the link between the clusters", isLinked);
  }

  async startMaster(port = 0): Promise<void> {
    const say = (who: string, what: string): void => void this.log.push(`${who} ${what}`);
    const { url, authToken } = this.#databaseAddress;
    const { identityUrl, publishableKey, secretKey } = this.#identityAddress;
    const environment = {
      TURSO_DATABASE_URL: url,
      TURSO_AUTH_TOKEN: authToken,
      SUPABASE_URL: identityUrl,
      SUPABASE_PUBLISHABLE_KEY: publishableKey,
      SUPABASE_SECRET_KEY: secretKey,
    };
    this.#master = await startMaster({ stateDir: join(this.#stateDir, "master"), port, environment, say });
  }

  async startCluster(side: Side): Promise<WorldCluster> {
    const folder = join(this.#stateDir, side);
    const config = join(folder, "Config.toml");
    if (!this.#proxies.has(side)) {
      mkdirSync(folder, { recursive: true });
      const { publicKey } = await createClusterKey(join(folder, "keys"), "cluster_key");
      // The database may be away just then.
      await eventually(() => enrolClusterKey(this.master.database, { name: side, publicKey }));
      const players = await DelayProxy.open(this.#delayMs);
      const peers = await DelayProxy.open(this.#delayMs);
      this.#proxies.set(side, { players, peers });
    }
    const proxies = this.#proxies.get(side);
    if (proxies === undefined) throw new Error(`no proxy for ${side}`);
    const peerPort = await freePort("127.0.0.1");
    writeFileSync(config, this.#config(side, peerPort, proxies));
    const { promise, resolve } = Promise.withResolvers<Extract<Report, { event: "ready" }>>();
    const cluster: WorldCluster = {
      side,
      // Made of its key: the one that it had is the one that it gets, and may be asked for before it is there again.
      clusterId: this.clusters.get(side)?.clusterId ?? "",
      links: 0,
      hearsMaster: false,
      counts: undefined,
      steps: [],
      process: startProcess({
        title: side,
        file: join(import.meta.dirname, "cluster.ts"),
        args: [String(this.#delayMs)],
        cwd: folder,
        environment: { SUSTENET_CONFIG: config },
        onLine: (line) => {
          this.log.push(`${side} ${line}`);
          const event = /"event":"(link-up|link-lost|link-down|master-away)"/.exec(line)?.[1];
          if (event !== undefined) cluster.hearsMaster = event === "link-up";
        },
        onMessage: (message) => {
          if (!isReport(message)) return;
          if (message.event === "ready") resolve(message);
          else this.#hear(cluster, message);
        },
      }),
    };
    const { pid } = cluster.process;
    void cluster.process.ended.then(() => {
      this.#ended.add(cluster.process);
      this.authority.end(`${side} ${pid}`, Date.now());
    });
    this.clusters.set(side, cluster);
    const late = setTimeout(() => cluster.process.child.kill("SIGKILL"), startTimeoutMs);
    const ended = cluster.process.ended.then((how) => Promise.reject(new Error(`${side} ended (${how}) at its start`)));
    ended.catch(() => undefined);
    const { clusterId, port } = await Promise.race([promise, ended]);
    clearTimeout(late);
    cluster.clusterId = clusterId;
    proxies.players.targetPort = port;
    proxies.peers.targetPort = peerPort;
    for (const rule of this.#rules) cluster.process.child.send(rule);
    return cluster;
  }

  /** From now on these players go to another cluster together or not at all, and with a seed the game refuses some. */
  rule(together: readonly (readonly string[])[], refuses: number | undefined): void {
    this.#rules = [{ together }, { refuses: refuses ?? null }];
    for (const { process } of this.clusters.values()) {
      if (!process.child.connected) continue;
      for (const rule of this.#rules) process.child.send(rule, () => undefined);
    }
  }

  /** An operator has a cluster leave, and its players go on where others carry its part of the world. */
  async drain(side: Side): Promise<void> {
    await this.operator.drain(this.cluster(side).clusterId);
  }

  /** An operator has the east leave while the spare takes its place, starts it again, and stops the spare. */
  async renewEast(): Promise<void> {
    await this.startCluster("spare");
    await this.drain("east");
    await this.#leaves("east");
    await this.startCluster("east");
    this.cluster("spare").process.child.kill("SIGTERM");
    await this.#leaves("spare");
  }

  /** A process ends by itself, as it should. */
  async #leaves(side: Side): Promise<void> {
    const { process } = this.cluster(side);
    await this.until(`the end of the ${side}`, () => this.#ended.has(process), 120_000);
    const how = await process.ended;
    if (how !== "0") throw new Error(`the ${side} ended with ${how}`);
    this.clusters.delete(side);
  }

  /** Every cluster that runs can hear the master, and what was ended is over before long. [SEC-72] */
  async concludeEndings(when: string): Promise<void> {
    const hears = (): boolean => [...this.clusters.values()].every(({ hearsMaster }) => hearsMaster);
    await this.until(`the links to the master ${when}`, hears);
    try {
      await until("the end of what was ended", () => this.endings.open.length === 0, endingMs);
    } catch (error) {
      throw new Error([`${when}:`, ...this.endings.open, this.#describe()].join("\n"), { cause: error });
    }
    this.endings.conclude();
  }

  /** Tells a cluster's process to stop, as whatever runs it does, and resolves with how it has ended. */
  async stopCluster(side: Side): Promise<string> {
    const { process } = this.cluster(side);
    process.child.kill("SIGTERM");
    return process.ended;
  }

  cluster(side: Side): WorldCluster {
    const cluster = this.clusters.get(side);
    if (cluster === undefined) throw new Error(`${side} has not been started`);
    return cluster;
  }

  /** Has a cluster kill itself at a step of a handover, starts it again, and resolves when both are linked again. */
  async killAt(side: Side, step: string): Promise<void> {
    const killed = this.cluster(side);
    const other = this.cluster(side === "west" ? "east" : "west");
    killed.process.child.send({ kill: step });
    await this.until(`the step ${step} in the ${side}`, () => this.#ended.has(killed.process));
    const links = other.links;
    const again = await this.startCluster(side);
    await this.until("the next link", () => again.links > 0 && other.links > links);
  }

  /** Kills the master when a cluster has a commit on its way there or back, and starts it again. */
  async killMasterAt(side: Side, step: "commit-asked" | "commit-answered"): Promise<void> {
    const { process, steps } = this.cluster(side);
    const before = steps.length;
    process.child.send({ hold: step });
    await this.until(`the step ${step} in the ${side}`, () => steps.slice(before).includes(step));
    await this.killMaster(longerThanStill, () => process.child.send({ go: false }));
  }

  /** Kills the master, and starts it again after a time. */
  async killMaster(awayMs: number, onEnd?: () => void): Promise<void> {
    const { pid, ended, url } = this.master;
    killGroup(pid);
    await ended;
    onEnd?.();
    await pass(awayMs);
    // The local master brings the database's tables up to date before it starts.
    await this.#databaseStarted;
    this.#masterStarted = this.startMaster(Number(new URL(url).port));
    await this.#masterStarted;
  }

  /** Kills the database, and starts it again after a time. */
  async killDatabase(awayMs: number): Promise<void> {
    const again = async (): Promise<void> => {
      // One that starts needs it, and says by itself if it cannot.
      await this.#masterStarted.catch(() => undefined);
      this.#database?.child.kill("SIGKILL");
      await this.#database?.ended;
      await pass(awayMs);
      await this.#startDatabase();
    };
    this.#databaseStarted = again();
    await this.#databaseStarted;
  }

  /** Kills a cluster whatever it is doing, and starts it again. */
  async kill(side: Side, onEnd?: () => void): Promise<void> {
    const { process } = this.cluster(side);
    process.child.kill("SIGKILL");
    await process.ended;
    onEnd?.();
    await this.startCluster(side);
  }

  /** A cluster does nothing for a time, as on a machine that has too much to do. */
  async pause(side: Side, ms: number): Promise<void> {
    const { child } = this.cluster(side).process;
    child.kill("SIGSTOP");
    await pass(ms);
    child.kill("SIGCONT");
  }

  /** Resolves when some cluster reaches this step of a handover the next time. */
  async nextStep(step: string): Promise<void> {
    const count = (): number =>
      [...this.clusters.values()].flatMap(({ steps }) => steps).filter((one) => one === step).length;
    const before = count();
    await this.until(`the step ${step}`, () => count() > before);
  }

  /** Breaks every connection of players, or the links between the clusters. */
  cut(what: "players" | "peers"): void {
    for (const proxies of this.#proxies.values()) proxies[what].cut();
  }

  async until(what: string, probe: () => boolean, timeoutMs = 60_000): Promise<void> {
    try {
      await until(what, probe, timeoutMs);
    } catch (error) {
      throw new Error(`${what}: not within ${timeoutMs} ms\n${this.#describe()}`, { cause: error });
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.clusters.values()].map(({ process }) => process.stop(5_000)));
    for (const { players, peers } of this.#proxies.values()) {
      players.close();
      peers.close();
    }
    await this.#master?.stop();
    await this.#database?.stop();
    await this.#identity?.stop();
    rmSync(this.#stateDir, { recursive: true, force: true });
  }

  get #databaseAddress(): { readonly url: string; readonly authToken: string } {
    return { url: `http://127.0.0.1:${this.#databasePort}`, authToken: this.#databaseToken };
  }

  get #identityAddress() {
    return { identityUrl: `http://127.0.0.1:${this.#identityPort}`, ...this.#identityKeys };
  }

  /** Apart from the master: what it has signed is good as long as it is there. */
  async #startIdentity(): Promise<void> {
    const { publishableKey, secretKey } = this.#identityKeys;
    this.#identity = await startService("identity", {
      port: this.#identityPort,
      file: join(this.#stateDir, "auth.db"),
      keys: [publishableKey, secretKey],
      onLine: (line) => void this.log.push(`identity ${line}`),
    });
  }

  async #startDatabase(): Promise<void> {
    this.#database = await startService("database", {
      port: this.#databasePort,
      file: join(this.#stateDir, "turso.db"),
      keys: [this.#databaseToken],
      onLine: (line) => void this.log.push(`database ${line}`),
    });
  }

  /** How things stand, for who has to find out why something has not happened. */
  #describe(): string {
    const clusters = Array.from(this.clusters.values(), ({ side, counts, steps, process }) => {
      const last = steps.slice(-20).join(" ");
      return `${side} ${process.pid}: ${JSON.stringify(counts)}; last steps: ${last}`;
    });
    const log = this.log.filter((line) => /"(warn|error)"|world-map|peer-/.test(line)).slice(-30);
    return [...clusters, ...log].join("\n");
  }

  #hear(cluster: WorldCluster, report: Exclude<Report, { event: "ready" }>): void {
    const holder = `${cluster.side} ${cluster.process.pid}`;
    switch (report.event) {
      case "plays":
        this.authority.plays(holder, report);
        // What a process has said before its end may be heard after it.
        if (this.#ended.has(cluster.process)) this.authority.end(holder, Date.now());
        return;
      case "rests":
        return this.authority.rests(holder, report);
      case "fault":
        this.faults.push(`${cluster.side}: ${report.text}`);
        return;
      case "left":
        if (report.reason === "SHUTTING_DOWN") this.dismissed.add(report.playerId);
        return;
      case "step":
        cluster.steps.push(report.step);
        return;
      case "linked":
        cluster.links += 1;
        return;
      case "counts":
        cluster.counts = report.counts;
    }
  }

  #config(side: Side, peerPort: number, { players, peers }: { players: DelayProxy; peers: DelayProxy }): string {
    const x = side === "west" ? -3 : 3;
    return [
      "[all]",
      `server_name = "${side}"`,
      "max_connections = 0",
      'port = "free"',
      "",
      "[cluster]",
      'key_name = "cluster_key"',
      `master_url = "${this.master.url}"`,
      `instance = "${side}"`,
      'world = "audit"',
      'host = "127.0.0.1"',
      'advertised_host = "127.0.0.1"',
      `advertised_port = ${players.port}`,
      `peer_port = ${peerPort}`,
      `peer_advertised_port = ${peers.port}`,
      `spawn = [${x}, 0, 0]`,
      "max_unauthenticated = 1000",
      "max_unauthenticated_per_ip = 1000",
      // The spare alone is told to stop while somebody plays there.
      `drain_seconds = ${side === "spare" ? 40 : 0}`,
      "resume_grace_ms = 5000",
      fragments.replace("SIDE", side === "spare" ? "east" : side),
    ].join("\n");
  }
}

function isReport(value: unknown): value is Report {
  return typeof value === "object" && value !== null && "event" in value;
}

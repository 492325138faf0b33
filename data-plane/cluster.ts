import { join, relative } from "node:path";
import { limits as protocolLimits, type RegisterRequest, versions } from "../protocol/index.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { ClusterSettings } from "./config/settings.ts";
import { type Certificate, ensureCertificate } from "./keys/certificate.ts";
import { loadClusterKey } from "./keys/cluster-key.ts";
import { type ClusterLimits, defaultLimits } from "./limits.ts";
import type { Logger } from "./log.ts";
import type { Registration } from "./master-link/master-answers.ts";
import { MasterClient } from "./master-link/master-client.ts";
import { defaultPace, type LinkPace, MasterLink } from "./master-link/master-link.ts";
import { TicketDesk } from "./master-link/ticket-desk.ts";
import { Metrics, type MetricsSnapshot } from "./metrics.ts";
import { Admission } from "./net/admission.ts";
import { createListener, type Listener } from "./net/listener.ts";
import { TurnEnd } from "./net/turn-end.ts";
import { ClusterView } from "./plugin/cluster-view.ts";
import { PluginHost } from "./plugin/plugin-host.ts";
import type { ServerPlugin } from "./plugin/server-plugin.ts";
import { TickLoop } from "./plugin/tick-loop.ts";
import { PlayerTable } from "./session/player-table.ts";
import { Pulse } from "./session/pulse.ts";
import { RefusalLog } from "./session/refusal-log.ts";
import { ReplayTable } from "./session/replay-table.ts";
import { Session } from "./session/session.ts";
import type { SessionContext } from "./session/session-context.ts";

export interface ClusterOptions {
  readonly settings: ClusterSettings;
  readonly plugin: ServerPlugin;
  readonly logger: Logger;
  /** Bounds other than the usual ones. */
  readonly limits?: Partial<ClusterLimits>;
  /** Waiting times towards the master other than the usual ones. */
  readonly pace?: Partial<LinkPace>;
  readonly clock?: Clock;
}

/** A cluster in this process. */
export interface ClusterServer {
  /**
   * Loads keys, listens, starts the plugin, and begins to register. Resolves when players can connect; they can join once
   * the master has taken the registration, for which this does not wait.
   *
   * @throws KeyError, ListenError, or what the plugin's `onStart` threw
   */
  start(): Promise<void>;
  /** Lets nobody in, deregisters, tells everyone to go, and resolves when it is over; within `stopTimeoutMs`. */
  stop(): Promise<void>;
  /** Where it listens, and where players are sent; `undefined` before it has started. */
  readonly address: ClusterAddress | undefined;
  readonly metrics: MetricsSnapshot;
  /** Resolves with the first registration. */
  readonly registered: Promise<Registration>;
  /** Resolves when a newer process with the same key and instance has taken over: then this one has to stop. */
  readonly superseded: Promise<void>;
}

export interface ClusterAddress {
  readonly port: number;
  readonly advertisedHost: string;
  readonly advertisedPort: number;
}

/** Prepares a cluster; nothing happens before its `start`. */
export function createCluster(options: ClusterOptions): ClusterServer {
  return new Server(options);
}

const software = "sustenet-cluster/0.1.0";
/** Of the time for stopping, what deregistering may take. */
const deregisterTimeoutMs = 2_500;

class Server implements ClusterServer {
  readonly #settings: ClusterSettings;
  readonly #limits: ClusterLimits;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #pace: LinkPace;
  readonly #counters = new Metrics();
  readonly #sessions = new Set<Session>();
  readonly #players: PlayerTable;
  readonly #host: PluginHost;
  readonly #desk: TicketDesk;
  readonly #client: MasterClient;
  readonly #registered = Promise.withResolvers<Registration>();
  readonly #superseded = Promise.withResolvers<void>();
  readonly #ticks: TickLoop;
  readonly #pulse: Pulse;
  #pulseTimer: NodeJS.Timeout | undefined;
  #listener: Listener | undefined;
  #link: MasterLink | undefined;
  #address: ClusterAddress | undefined;
  #everRegistered = false;
  #stopping: Promise<void> | undefined;

  constructor(options: ClusterOptions) {
    const { settings } = options;
    this.#settings = settings;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#pace = { ...defaultPace, ...options.pace };
    this.#log = options.logger;
    this.#clock = options.clock ?? systemClock;
    const { monotonicMs } = this.#clock;
    const ticketLifetimeMs = this.#limits.maxTicketLifetimeSeconds * 1_000 + protocolLimits.clockSkewMs;
    this.#players = new PlayerTable(ticketLifetimeMs, monotonicMs);
    this.#host = new PluginHost({
      plugin: options.plugin,
      log: this.#log,
      metrics: this.#counters,
      hookTimeoutMs: this.#limits.hookTimeoutMs,
    });
    this.#client = new MasterClient(settings.masterUrl);
    this.#desk = new TicketDesk({
      fetchKeys: () => this.#client.keySet(),
      onKeySetError: (error) => {
        const reason = error instanceof Error ? error.message : "it failed";
        this.#log.warn({ event: "key-set-failed" }, `could not fetch the master's key set: ${reason}`);
      },
      clock: this.#clock,
      maxLifetimeSeconds: this.#limits.maxTicketLifetimeSeconds,
      ticketLifetimeMs,
    });
    this.#ticks = new TickLoop({
      tickHz: settings.tickHz,
      nowMs: monotonicMs,
      onTick: (tick, dtSeconds) => this.#host.tick(tick, dtSeconds),
      onSkipped: (count) => {
        this.#counters.ticksSkipped += count;
      },
    });
    const pulseMs = Math.min(250, Math.max(10, settings.pingIntervalMs / 4));
    this.#pulse = new Pulse(pulseMs, monotonicMs);
  }

  get address(): ClusterAddress | undefined {
    return this.#address;
  }

  get metrics(): MetricsSnapshot {
    return this.#counters.snapshot();
  }

  get registered(): Promise<Registration> {
    return this.#registered.promise;
  }

  get superseded(): Promise<void> {
    return this.#superseded.promise;
  }

  async start(): Promise<void> {
    const { keysDir, keyName, advertisedHost } = this.#settings;
    const key = await loadClusterKey(keysDir, keyName);
    const privateKeyFile = shown(join(keysDir, `${keyName}.pem`));
    if (key.exposed) {
      this.#log.warn({ event: "key-exposed" }, `${privateKeyFile} can be read by others: chmod 600 ${privateKeyFile}`);
    }
    const certificate = await ensureCertificate(keysDir, keyName, key.keyId, new Date(this.#clock.wallMs()));
    const port = await this.#listen(certificate);
    this.#address = { port, advertisedHost, advertisedPort: this.#settings.advertisedPort || port };
    try {
      await this.#host.start(new ClusterView(this.#settings.serverName, this.#players, this.#log));
    } catch (error) {
      this.#listener?.close();
      throw error;
    }
    this.#ticks.start();
    this.#pulseTimer = setInterval(() => this.#beat(), this.#pulse.intervalMs);
    this.#link = new MasterLink({
      client: this.#client,
      masterUrl: this.#settings.masterUrl,
      key,
      publicKeyFile: shown(join(keysDir, `${keyName}.pub`)),
      request: this.#createRequest(certificate, this.#address),
      desk: this.#desk,
      clock: this.#clock,
      random: Math.random,
      log: this.#log,
      pace: this.#pace,
      onRegistered: (registration) => this.#onRegistered(registration),
      onFence: (playerId, generation) => this.#players.fence(playerId, generation)?.close("REPLACED"),
      onSuperseded: () => this.#superseded.resolve(),
    });
    this.#link.start();
  }

  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    await this.#stopping;
  }

  async #stop(): Promise<void> {
    const { promise: timeout, resolve: onTimeout } = Promise.withResolvers<void>();
    const timer = setTimeout(onTimeout, this.#limits.stopTimeoutMs);
    await Promise.race([this.#leave(), timeout]);
    clearTimeout(timer);
    this.#listener?.close();
    for (const session of this.#sessions) session.destroy();
    this.#ticks.stop();
    clearInterval(this.#pulseTimer);
  }

  /** The order matters: the master stops sending players here before those who are here are told to go elsewhere. */
  async #leave(): Promise<void> {
    await this.#link?.stop(deregisterTimeoutMs);
    for (const session of this.#sessions) session.shutDown();
    this.#listener?.close();
    await Promise.all([...this.#sessions].map((session) => session.ended));
    await this.#host.stop();
  }

  async #listen(certificate: Certificate): Promise<number> {
    const settings = this.#settings;
    const context = this.#createContext();
    this.#listener = await createListener({
      port: settings.port,
      host: settings.host,
      keyPem: certificate.keyPem,
      certificatePem: certificate.certificatePem,
      tls12: settings.tls12,
      handshakeTimeoutMs: this.#limits.handshakeTimeoutMs,
      admission: new Admission(
        {
          maxTotal: settings.maxUnauthenticated,
          maxPerGroup: settings.maxUnauthenticatedPerIp,
          penaltyHalfLifeMs: this.#limits.penaltyHalfLifeMs,
        },
        this.#clock.monotonicMs,
      ),
      onRefused: (reason, address) => context.refusals.note(reason, address),
      onHandshake: (change) => {
        this.#counters.connections.handshake += change;
      },
      onConnection: (socket, pass) => {
        const session = new Session(context, socket, pass);
        this.#sessions.add(session);
        void session.ended.then(() => this.#sessions.delete(session));
      },
    });
    return this.#listener.port;
  }

  #createContext(): SessionContext {
    return {
      settings: this.#settings,
      limits: this.#limits,
      clock: this.#clock,
      pulse: this.#pulse,
      turnEnd: new TurnEnd(),
      metrics: this.#counters,
      log: this.#log,
      refusals: new RefusalLog(this.#counters, this.#log, this.#clock.monotonicMs),
      players: this.#players,
      replays: new ReplayTable(this.#limits.maxReplayEntries, protocolLimits.clockSkewMs / 1_000),
      host: this.#host,
      tick: () => this.#ticks.tick,
      stopping: () => this.#stopping !== undefined,
      verifyTicket: (ticket, hello) => this.#desk.verify(ticket, hello),
      seats: {
        joined: (seat) => this.#link?.joined(seat),
        left: (seat) => this.#link?.left(seat),
      },
    };
  }

  #createRequest(certificate: Certificate, address: ClusterAddress): RegisterRequest {
    const { instance, serverName, region, maxConnections, tags } = this.#settings;
    return {
      instance,
      name: serverName,
      region,
      host: address.advertisedHost,
      port: address.advertisedPort,
      tls: {
        serverName: certificate.serverName,
        caPem: certificate.certificatePem,
        sha256: certificate.sha256,
      },
      capacity: maxConnections,
      protocol: versions,
      tags,
      software,
    };
  }

  #onRegistered(registration: Registration): void {
    const first = !this.#everRegistered;
    this.#everRegistered = true;
    const { advertisedHost: host, advertisedPort: port } = this.#address ?? { advertisedHost: "", advertisedPort: 0 };
    const { clusterId, boot } = registration;
    this.#log.info(
      { event: first ? "ready" : "registered-again", clusterId, boot, host, port },
      `${this.#settings.serverName} is registered at ${this.#settings.masterUrl}; players are sent to ${host}:${port}`,
    );
    this.#registered.resolve(registration);
  }

  #beat(): void {
    this.#pulse.beat();
    for (const session of this.#sessions) session.check();
  }
}

function shown(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith("..") ? file : path;
}

import { isIPv6 } from "node:net";
import { join, relative } from "node:path";
import {
  type Allocation,
  limits as protocolLimits,
  type LinkOrders,
  type MailOutcome,
  type RegisterRequest,
  type RevokedPlayer,
  versions,
} from "../protocol/index.ts";
import { PlayerSaves } from "./authority/player-saves.ts";
import { SessionDesk } from "./authority/session-desk.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { ClusterSettings } from "./config/settings.ts";
import { ensureCertificate } from "./keys/certificate.ts";
import { CertificateKeeper } from "./keys/certificate-keeper.ts";
import { loadClusterKey } from "./keys/cluster-key.ts";
import { readOperatorCertificate } from "./keys/operator-certificate.ts";
import { type ClusterLimits, defaultLimits } from "./limits.ts";
import type { Logger } from "./log.ts";
import type { Registration } from "./master-link/master-answers.ts";
import { MasterClient, MasterError } from "./master-link/master-client.ts";
import { defaultPace, type LinkPace, MasterLink } from "./master-link/master-link.ts";
import { StandingOrders } from "./master-link/standing-orders.ts";
import { TicketDesk } from "./master-link/ticket-desk.ts";
import { Metrics, type MetricsSnapshot } from "./metrics.ts";
import { Admission, type AdmissionPass } from "./net/admission.ts";
import { createListener } from "./net/listener.ts";
import type { PlayerSocket } from "./net/player-socket.ts";
import { TrustedProxies } from "./net/proxy-header.ts";
import type { Credentials, Listener } from "./net/tls-server.ts";
import { TickEnd } from "./net/tick-end.ts";
import { TurnEnd } from "./net/turn-end.ts";
import { createWebSocketListener } from "./net/websocket-listener.ts";
import { GhostExchange } from "./peers/ghost-exchange.ts";
import type { Peers } from "./peers/peers.ts";
import { WorldPeers } from "./peers/world-peers.ts";
import { writeMetrics } from "./ops/cluster-metrics.ts";
import { LoopLag } from "./ops/loop-lag.ts";
import { describeWorld } from "./ops/world-metrics.ts";
import { createOpsServer, type OpsServer, type Readiness } from "./ops/ops-server.ts";
import { TickLoad } from "./plugin/tick-load.ts";
import { Counters } from "./plugin/counters.ts";
import { ClusterView } from "./plugin/cluster-view.ts";
import { type HookWatch, unwatched } from "./plugin/hook-names.ts";
import { LogFeed } from "./plugin/log-feed.ts";
import { isPlayerId, type Mail } from "./plugin/mail.ts";
import { PluginHost } from "./plugin/plugin-host.ts";
import type { ServerPlugin } from "./plugin/server-plugin.ts";
import { TickLoop } from "./plugin/tick-loop.ts";
import type { Layout } from "./fragments/layout.ts";
import { ClusterHandovers } from "./handover/cluster-handovers.ts";
import { Departure } from "./handover/departure.ts";
import { PlayerGroups } from "./handover/player-groups.ts";
import { type ClusterWorld, createWorld, type WorldCounts } from "./world/cluster-world.ts";
import { ClusterStorage } from "./storage/cluster-storage.ts";
import { announceWorld } from "./world/world-announcement.ts";
import type { JoinedPlayer } from "./session/joined-player.ts";
import { PlayerTable } from "./session/player-table.ts";
import { Pulse } from "./session/pulse.ts";
import { RefusalLog } from "./session/refusal-log.ts";
import { ReplayTable } from "./session/replay-table.ts";
import { Revocations } from "./session/revocations.ts";
import { Session } from "./session/session.ts";
import type { Arrivals } from "./session/arrivals.ts";
import type { SessionContext } from "./session/session-context.ts";

export interface ClusterOptions {
  readonly settings: ClusterSettings;
  /** Game logic; several are asked in this order. */
  readonly plugin: ServerPlugin | readonly ServerPlugin[];
  readonly logger: Logger;
  /** Bounds other than the usual ones. */
  readonly limits?: Partial<ClusterLimits>;
  /** Waiting times towards the master other than the usual ones. */
  readonly pace?: Partial<LinkPace>;
  readonly clock?: Clock;
  /** Told which hook runs. */
  readonly watch?: HookWatch;
}

/** A cluster in this process. */
export interface ClusterServer {
  /**
   * Loads keys, listens, starts the plugin, and begins to register. Resolves when players can connect; they can join once
   * the master has taken the registration, for which this does not wait.
   *
   * @throws KeyError, StorageError, ListenError, or what the plugin's `onStart` threw
   */
  start(): Promise<void>;
  /**
   * Lets nobody in, lets the plugins bring the game to its end, hands over the players whom other clusters of the world can take,
   * deregisters, tells all others to go, and resolves when it is over: at the latest `drainSeconds` and twice `stopTimeoutMs` from now.
   */
  stop(): Promise<void>;
  /** Looks at once whether there is another certificate. */
  reloadCertificate(): Promise<void>;
  /** Takes over another layout of the world while players play; without effect where there is no world. */
  changeLayout(layout: Layout): void;
  /** Where it listens, and where players are sent; `undefined` before it has started. */
  readonly address: ClusterAddress | undefined;
  readonly metrics: MetricsSnapshot;
  /** Whether players can join. */
  readonly readiness: Readiness;
  /** The other clusters of the world; `undefined` where it is not shared, and before the start. */
  readonly peers: Peers | undefined;
  /** Who knows of players that other clusters hand over to this one; `undefined` where none does. */
  arrivals: Arrivals | undefined;
  /** What the world has done so far; `undefined` where there is none. */
  readonly worldCounts: WorldCounts | undefined;
  /** Port of health and metrics, where they are served. */
  readonly opsPort: number | undefined;
  /** Resolves with the first registration. */
  readonly registered: Promise<Registration>;
  /** Resolves when a newer process with the same key and instance has taken over: then this one has to stop. */
  readonly superseded: Promise<void>;
  /** Resolves when an operator's order to drain has been carried out, or its time is over: then this process has to stop. */
  readonly drained: Promise<void>;
}

export interface ClusterAddress {
  readonly port: number;
  readonly advertisedHost: string;
  readonly advertisedPort: number;
  /** Where it listens for WebSocket, if it does. */
  readonly webSocketPort: number | undefined;
}

/** Prepares a cluster; nothing happens before its `start`. */
export function createCluster(options: ClusterOptions): ClusterServer {
  return new Server(options);
}

const software = "sustenet-cluster/0.1.0";
/** What the master has to hear that this process is about to end. */
const departTimeoutMs = 2_500;
/** Of the time for stopping, what deregistering may take. */
const deregisterTimeoutMs = 2_500;
/** So long the master and the other clusters of the world have to take over what a draining one carries. */
const takeOverMs = 3_000;

class Server implements ClusterServer {
  readonly #settings: ClusterSettings;
  readonly #limits: ClusterLimits;
  readonly #log: LogFeed;
  readonly #clock: Clock;
  readonly #pace: LinkPace;
  readonly #counters = new Metrics();
  readonly #gameCounters = new Counters();
  readonly #tickLoad = new TickLoad();
  readonly #sessions = new Set<Session>();
  readonly #players: PlayerTable;
  readonly #revocations: Revocations<JoinedPlayer>;
  readonly #host: PluginHost;
  readonly #world: ClusterWorld | undefined;
  /** The world as the settings lay it out; what of it is carried here may be less. */
  #layout: Layout | undefined;
  arrivals: Arrivals | undefined;
  #peers: WorldPeers | undefined;
  #ghosts: GhostExchange | undefined;
  #context: SessionContext | undefined;
  #handovers: ClusterHandovers | undefined;
  readonly #groups = new PlayerGroups<JoinedPlayer>();
  readonly #desk: TicketDesk;
  readonly #client: MasterClient;
  readonly #sessionDesk: SessionDesk;
  readonly #saves: PlayerSaves<JoinedPlayer>;
  #storage: ClusterStorage | undefined;
  #registration: Registration | undefined;
  readonly #registered = Promise.withResolvers<Registration>();
  readonly #superseded = Promise.withResolvers<void>();
  readonly #drained = Promise.withResolvers<void>();
  readonly #orders: StandingOrders<JoinedPlayer>;
  readonly #ticks: TickLoop;
  readonly #pulse: Pulse;
  readonly #tickEnd = new TickEnd();
  readonly #loopLag = new LoopLag();
  #ops: OpsServer | undefined;
  #started = false;
  #pulseTimer: NodeJS.Timeout | undefined;
  #listeners: readonly Listener[] = [];
  #certificate: CertificateKeeper | undefined;
  #link: MasterLink | undefined;
  #address: ClusterAddress | undefined;
  #everRegistered = false;
  #stopping: Promise<void> | undefined;
  #departure: Departure<JoinedPlayer> | undefined;

  constructor(options: ClusterOptions) {
    const { settings } = options;
    this.#settings = settings;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#pace = { ...defaultPace, ...options.pace };
    this.#clock = options.clock ?? systemClock;
    this.#log = new LogFeed(options.logger, settings.logLevel, this.#clock.wallMs);
    const { monotonicMs } = this.#clock;
    const ticketLifetimeMs = this.#limits.maxTicketLifetimeSeconds * 1_000 + protocolLimits.clockSkewMs;
    this.#players = new PlayerTable(ticketLifetimeMs, monotonicMs);
    this.#revocations = new Revocations(ticketLifetimeMs, monotonicMs);
    const { hookTimeoutMs, hookBudgetMs, hookStallMs, breaker } = this.#limits;
    this.#host = new PluginHost({
      plugins: "length" in options.plugin ? options.plugin : [options.plugin],
      log: this.#log,
      metrics: this.#counters,
      limits: { timeoutMs: hookTimeoutMs, budgetMs: hookBudgetMs, stallMs: hookStallMs, breaker },
      watch: options.watch ?? unwatched,
      nowMs: monotonicMs,
      playerCount: () => this.#players.size,
    });
    this.#log.attach(this.#host.slots);
    this.#world = createWorld(settings, this.#host);
    this.#layout = settings.world;
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
    this.#sessionDesk = new SessionDesk({
      call: async (requests) => {
        if (this.#registration === undefined) throw new MasterError("not registered yet", 0, undefined);
        return this.#client.sessions(this.#registration, requests);
      },
      nowMs: monotonicMs,
      random: Math.random,
      log: this.#log,
    });
    this.#saves = this.#createSaves();
    this.#ticks = new TickLoop({
      tickHz: settings.tickHz,
      nowMs: monotonicMs,
      onTick: (tick, dtSeconds) => {
        const startedAtMs = monotonicMs();
        this.#host.tick(tick, dtSeconds);
        this.#world?.tick(tick);
        this.#ghosts?.tick(tick);
        this.#tickEnd.run();
        this.#handovers?.endTick();
        const tookSeconds = (monotonicMs() - startedAtMs) / 1_000;
        this.#counters.tickTime.observe(tookSeconds);
        this.#tickLoad.observe(tookSeconds);
        if (tookSeconds > dtSeconds) this.#counters.ticksOverrun += 1;
      },
      onSkipped: (count) => {
        this.#counters.ticksSkipped += count;
      },
    });
    const pulseMs = Math.min(250, Math.max(10, settings.pingIntervalMs / 4));
    this.#pulse = new Pulse(pulseMs, monotonicMs);
    this.#orders = new StandingOrders({
      players: this.#players,
      nowMs: monotonicMs,
      beatMs: pulseMs,
      leadMs: settings.drainSeconds * 1_000,
      settleMs: () => (this.#handovers === undefined ? 0 : takeOverMs),
      moveOn: (player) => {
        if (this.#handovers?.takesOn(player) !== true) player.close("SHUTTING_DOWN");
      },
      isBusy: () => (this.#handovers?.undelivered ?? 0) > 0,
      onDrained: () => this.#drained.resolve(),
    });
  }

  get address(): ClusterAddress | undefined {
    return this.#address;
  }

  get metrics(): MetricsSnapshot {
    return this.#counters.snapshot();
  }

  get readiness(): Readiness {
    if (this.#stopping !== undefined || this.#orders.draining) return { ready: false, state: "draining" };
    if (!this.#started) return { ready: false, state: "starting" };
    // A master that is away later does not matter: tickets that are out are good.
    return this.#everRegistered ? { ready: true, state: "ready" } : { ready: false, state: "not-registered" };
  }

  get peers(): Peers | undefined {
    return this.#peers;
  }

  get worldCounts(): WorldCounts | undefined {
    return this.#world?.counts;
  }

  get opsPort(): number | undefined {
    return this.#ops?.port;
  }

  get registered(): Promise<Registration> {
    return this.#registered.promise;
  }

  get superseded(): Promise<void> {
    return this.#superseded.promise;
  }

  get drained(): Promise<void> {
    return this.#drained.promise;
  }

  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      await this.#storage?.close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { keysDir, keyName, advertisedHost, stateDir, instance } = this.#settings;
    const storage = await ClusterStorage.open(join(stateDir, `${keyName}.${instance}.storage`), this.#log);
    this.#storage = storage;
    const key = await loadClusterKey(keysDir, keyName);
    const privateKeyFile = shown(join(keysDir, `${keyName}.pem`));
    if (key.exposed) {
      this.#log.warn({ event: "key-exposed" }, `${privateKeyFile} can be read by others: chmod 600 ${privateKeyFile}`);
    }
    const certificate = await this.#createCertificateKeeper(key.keyId);
    this.#certificate = certificate;
    const [port = 0, webSocketPort] = await this.#listen(certificate.shown);
    const address = { port, advertisedHost, advertisedPort: this.#settings.advertisedPort || port, webSocketPort };
    this.#address = address;
    try {
      this.#peers = await this.#meetPeers(certificate, address);
      this.#handovers = this.#createHandovers();
      this.arrivals ??= this.#handovers?.arrivals;
      await this.#openOps();
      await this.#host.start(
        (log, timers, plugin) =>
          new ClusterView(
            this.#settings.serverName,
            {
              players: this.#players,
              counters: this.#gameCounters,
              world: this.#world,
              tell: (playerId, command, payload) => this.#tell(playerId, command, payload),
              groups: this.#groups,
              storage: storage.of(plugin),
            },
            log,
            timers,
          ),
      );
    } catch (error) {
      this.#closeListeners();
      this.#peers?.stop();
      this.#closeOps();
      this.#host.end();
      throw error;
    }
    this.#started = true;
    this.#ticks.start();
    this.#pulseTimer = setInterval(() => this.#beat(), this.#pulse.intervalMs);
    this.#link = new MasterLink({
      client: this.#client,
      masterUrl: this.#settings.masterUrl,
      key,
      publicKeyFile: shown(join(keysDir, `${keyName}.pub`)),
      request: () => this.#createRequest(certificate, address),
      facts: () => ({ tickMs: this.#tickLoad.ms, counters: this.#gameCounters.list() }),
      desk: this.#desk,
      clock: this.#clock,
      random: Math.random,
      log: this.#log,
      pace: this.#pace,
      onRegistered: (registration) => this.#onRegistered(registration),
      onFence: (playerId, generation) => this.#sessionDesk.hear(playerId, { type: "fence", playerId, generation }),
      onOrders: (orders) => this.#take(orders),
      onRevoke: (players) => this.#revoke(players),
      onMail: ({ from, playerId, generation, command, payload }) => {
        this.#takeMail(playerId, generation, { from, command, payload: Buffer.from(payload, "base64") });
      },
      onSession: (playerId, message) => this.#sessionDesk.hear(playerId, message),
      onUp: () => this.#sessionDesk.hurry(),
      onWorldVersion: (version) => this.#peers?.noteVersion(version),
      onSuperseded: () => this.#superseded.resolve(),
    });
    this.#link.start();
    certificate.start();
  }

  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    await this.#stopping;
  }

  async reloadCertificate(): Promise<void> {
    await this.#certificate?.reload();
  }

  changeLayout(layout: Layout): void {
    this.#layout = layout;
    this.#peers?.changeLayout(layout);
    this.#world?.changeLayout(this.#peers?.carried ?? layout);
    this.#ghosts?.layBorders();
    this.#link?.registerAgain();
  }

  async #stop(): Promise<void> {
    await this.#drain();
    await within(this.#limits.stopTimeoutMs, this.#leave());
    this.#peers?.stop();
    this.#closeListeners();
    this.#certificate?.stop();
    for (const session of this.#sessions) session.destroy();
    this.#ticks.stop();
    clearInterval(this.#pulseTimer);
    this.#sessionDesk.stop();
    this.#host.end();
    this.#closeOps();
    await within(this.#limits.stopTimeoutMs, this.#storage?.close());
  }

  /** The order matters: the master stops sending players here before those who are here go elsewhere. */
  async #drain(): Promise<void> {
    const deadlineMs = this.#settings.drainSeconds * 1_000;
    const endsAtMs = this.#clock.monotonicMs() + deadlineMs;
    const pluginsReady = within(deadlineMs, this.#host.drain(deadlineMs));
    if (await this.#departs(deadlineMs)) {
      await Promise.all([pluginsReady, this.#depart(endsAtMs - this.#clock.monotonicMs())]);
    }
    await Promise.all([pluginsReady, within(this.#limits.stopTimeoutMs, this.#link?.stop(deregisterTimeoutMs))]);
  }

  /** Whether others may take over what is carried here, and the master knows that they have to. [WORLD-8] */
  async #departs(deadlineMs: number): Promise<boolean> {
    if (this.#handovers === undefined || deadlineMs === 0) return false;
    return (await this.#link?.depart(deadlineMs, Math.min(departTimeoutMs, deadlineMs))) === true;
  }

  /** Off the list of those who are given players, and with the authority to hand over those who are here. */
  async #depart(deadlineMs: number): Promise<void> {
    const handovers = this.#handovers;
    if (handovers === undefined) return;
    this.#departure = new Departure({
      players: this.#players,
      nowMs: this.#clock.monotonicMs,
      deadlineMs,
      settleMs: takeOverMs,
      mayGoOn: (player) => handovers.mayGoOn(player),
      goesOn: (player) => player.arriving || handovers.takesOn(player),
      isBusy: () => handovers.undelivered > 0 || handovers.reservedSeats > 0,
    });
    this.#departure.beat();
    await within(deadlineMs, this.#departure.over);
  }

  async #leave(): Promise<void> {
    this.#handovers?.handovers.cancelAll();
    for (const session of this.#sessions) session.shutDown();
    // Those that are away, too: there is nothing to come back to.
    for (const player of this.#players) player.close("SHUTTING_DOWN");
    this.#closeListeners();
    await Promise.all([...this.#sessions].map((session) => session.ended));
    await this.#host.stop();
    await Promise.all([this.#saves.settled(), this.#storage?.settled()]);
  }

  #createSaves(): PlayerSaves<JoinedPlayer> {
    const { saveIntervalMs: intervalMs, lateSaveMs: lateMs, maxLateSaveBytes: maxLateBytes } = this.#limits;
    const { loads } = this.#host;
    return new PlayerSaves({
      desk: this.#sessionDesk,
      nowMs: this.#clock.monotonicMs,
      log: this.#log,
      limits: { intervalMs, lateMs, maxLateBytes },
      // Whoever may be handed over needs its authority known.
      entersAll: () => loads || this.#handovers !== undefined,
      load: loads ? (player, ...of) => this.#host.loaded(player.lane, player, ...of) : undefined,
      snapshot: (player) =>
        this.#world?.snapshot(player) ?? { placement: player.position, fragment: player.fragment, values: {} },
      fence: (playerId, generation) => {
        const player = this.#players.fence(playerId, generation);
        if (player === undefined) return;
        this.#counters.overlaps += 1;
        player.close("REPLACED");
      },
      count: (outcome) => this.#counters.countSave(outcome),
      handovers: () => this.#handovers?.handovers,
    });
  }

  async #createCertificateKeeper(keyId: string): Promise<CertificateKeeper> {
    const { keysDir, keyName, tlsCert, tlsKey, advertisedHost } = this.#settings;
    return CertificateKeeper.create({
      load: () =>
        tlsCert === undefined || tlsKey === undefined
          ? ensureCertificate(keysDir, keyName, keyId, new Date(this.#clock.wallMs()))
          : readOperatorCertificate({ certificate: tlsCert, key: tlsKey, preferredName: advertisedHost }),
      overlapMs: this.#limits.certificateOverlapMs,
      checkMs: this.#limits.certificateCheckMs,
      clock: this.#clock,
      log: this.#log,
      onAnnounce: () => this.#link?.registerAgain(),
      onShow: (certificate) => {
        for (const listener of this.#listeners) listener.show(certificate);
        this.#peers?.show(certificate);
      },
    });
  }

  /** The other clusters of the world; `undefined` where it is not shared. @throws ListenError */
  async #meetPeers(certificate: CertificateKeeper, address: ClusterAddress): Promise<WorldPeers | undefined> {
    const { worldName: world } = this.#settings;
    if (world === undefined || this.#layout === undefined) return undefined;
    const peers = new WorldPeers({
      settings: this.#settings,
      world,
      layout: this.#layout,
      credentials: certificate.shown,
      address: () => this.#describeAddress(certificate, address),
      client: this.#client,
      desk: this.#desk,
      log: this.#log,
      random: Math.random,
      nowMs: this.#clock.monotonicMs,
      retryMs: this.#pace.retryMs,
      onCarried: (layout) => this.#world?.changeLayout(layout),
    });
    await peers.open();
    if (this.#world !== undefined) {
      const onRefused = (): void => void (this.#counters.ghostsRefused += 1);
      const { monotonicMs: nowMs } = this.#clock;
      this.#ghosts = new GhostExchange({ peers, world: this.#world, nowMs, onRefused });
    }
    return peers;
  }

  /** The ports: for TLS, and for WebSocket if there is one. */
  async #listen(credentials: Credentials): Promise<readonly number[]> {
    const settings = this.#settings;
    const context = this.#createContext();
    this.#context = context;
    const { proxyProtocolFrom } = settings;
    const shared = {
      host: settings.host,
      credentials,
      tls12: settings.tls12,
      handshakeTimeoutMs: this.#limits.handshakeTimeoutMs,
      proxies: proxyProtocolFrom.length === 0 ? undefined : new TrustedProxies(proxyProtocolFrom),
      admission: new Admission(
        {
          maxTotal: settings.maxUnauthenticated,
          maxPerGroup: settings.maxUnauthenticatedPerIp,
          penaltyHalfLifeMs: this.#limits.penaltyHalfLifeMs,
        },
        this.#clock.monotonicMs,
      ),
      onRefused: (reason: string, address: string) => context.refusals.note(reason, address),
      onHandshake: (change: 1 | -1) => {
        this.#counters.connections.handshake += change;
      },
      onConnection: (socket: PlayerSocket, pass: AdmissionPass) => {
        const session = new Session(context, socket, pass);
        this.#sessions.add(session);
      },
    };
    const { port, wsPort, wsOrigins } = settings;
    this.#listeners = [await createListener({ ...shared, port, portSetting: "[all] port" })];
    if (wsPort !== undefined) {
      try {
        const options = { ...shared, port: wsPort, portSetting: "[cluster] ws_port", origins: wsOrigins };
        this.#listeners = [...this.#listeners, await createWebSocketListener(options)];
      } catch (error) {
        this.#closeListeners();
        throw error;
      }
    }
    return this.#listeners.map((listener) => listener.port);
  }

  #closeListeners(): void {
    for (const listener of this.#listeners) listener.close();
  }

  async #openOps(): Promise<void> {
    const { opsPort: port, opsHost: host } = this.#settings;
    if (port === undefined) return;
    this.#loopLag.start();
    this.#ops = await createOpsServer({
      host,
      port,
      readiness: () => this.readiness,
      world: () => describeWorld(this.#world),
      metrics: () =>
        writeMetrics({
          metrics: this.#counters,
          players: this.#players.size,
          world: this.#world,
          hooks: this.#host.records,
          queuedBytes: [...this.#sessions].map((session) => session.queuedBytes),
          loopLag: this.#loopLag.read(),
          registered: this.#everRegistered,
          linkUp: this.#link?.up ?? false,
          peerLinks: this.#peers?.linked.length ?? 0,
          draining: this.#stopping !== undefined,
        }),
    });
    this.#log.info({ event: "ops", host, port: this.#ops.port }, `health and metrics at ${host}:${this.#ops.port}`);
  }

  #closeOps(): void {
    this.#loopLag.stop();
    this.#ops?.close();
  }

  /** Only in a world that is shared is there anybody to hand players over to. */
  #createHandovers(): ClusterHandovers | undefined {
    if (this.#peers === undefined || this.#context === undefined) return undefined;
    return new ClusterHandovers({
      context: this.#context,
      peers: this.#peers,
      desk: this.#sessionDesk,
      saves: this.#saves,
      verify: (token) => this.#desk.verifyHandover(token),
      groups: this.#groups,
      random: Math.random,
      takesPlayers: () => this.#stopping === undefined && !this.#orders.draining,
    });
  }

  #createContext(): SessionContext {
    return {
      settings: this.#settings,
      limits: this.#limits,
      clock: this.#clock,
      pulse: this.#pulse,
      turnEnd: new TurnEnd(),
      tickEnd: this.#tickEnd,
      metrics: this.#counters,
      log: this.#log,
      refusals: new RefusalLog(this.#counters, this.#log, this.#clock.monotonicMs),
      players: this.#players,
      revocations: this.#revocations,
      replays: new ReplayTable(this.#limits.maxReplayEntries, protocolLimits.clockSkewMs / 1_000),
      host: this.#host,
      arrivals: () => this.arrivals,
      reservedSeats: () => this.#handovers?.reservedSeats ?? 0,
      clientArrived: (player) => this.#handovers?.clientArrived(player),
      saves: this.#saves,
      world: this.#world,
      onSessionEnd: (session) => this.#sessions.delete(session),
      tick: () => this.#ticks.tick,
      stopping: () => this.#stopping !== undefined || this.#orders.moving,
      maxPlayers: () => this.#orders.capacity ?? this.#settings.maxConnections,
      verifyTicket: (ticket, hello) => this.#desk.verify(ticket, hello),
      seats: {
        joined: (seat) => this.#link?.joined(seat),
        left: (seat) => this.#link?.left(seat),
      },
    };
  }

  #createRequest(certificate: CertificateKeeper, address: ClusterAddress): RegisterRequest {
    const { instance, region, maxConnections, tags, labels, gameBuild, joinRatePerSecond } = this.#settings;
    // The one fragment of a world that nobody has laid out is nothing to send players to.
    const world = this.#layout === undefined ? undefined : announceWorld(this.#layout, this.#peers?.announcement);
    return {
      instance,
      region,
      ...this.#describeAddress(certificate, address),
      ...(world === undefined ? {} : { world }),
      capacity: maxConnections,
      protocol: versions,
      tags,
      // Left out rather than sent as 0: a master of an earlier version refuses what it does not know.
      ...(joinRatePerSecond === 0 ? {} : { joinRatePerSecond }),
      labels: Object.fromEntries(labels.map(labelEntry)),
      counters: this.#gameCounters.list(),
      ...(gameBuild === undefined ? {} : { gameBuild }),
      software,
    };
  }

  /** Where players reach it. */
  #describeAddress(certificate: CertificateKeeper, address: ClusterAddress): Omit<Allocation["cluster"], "id"> {
    const wssUrl = this.#webSocketUrl(address);
    return {
      name: this.#settings.serverName,
      host: address.advertisedHost,
      port: address.advertisedPort,
      ...(wssUrl === undefined ? {} : { wssUrl }),
      tls: certificate.announcement,
    };
  }

  #webSocketUrl({ advertisedHost, webSocketPort }: ClusterAddress): string | undefined {
    if (webSocketPort === undefined) return undefined;
    const host = isIPv6(advertisedHost) ? `[${advertisedHost}]` : advertisedHost;
    return this.#settings.wsUrl ?? `wss://${host}:${webSocketPort}`;
  }

  #onRegistered(registration: Registration): void {
    this.#certificate?.announced();
    this.#registration = registration;
    this.#sessionDesk.hurry();
    const first = !this.#everRegistered;
    this.#everRegistered = true;
    const { advertisedHost: host, advertisedPort: port } = this.#address ?? { advertisedHost: "", advertisedPort: 0 };
    const { clusterId, boot } = registration;
    this.#peers?.registered(registration);
    this.#log.info(
      { event: first ? "ready" : "registered-again", clusterId, boot, host, port },
      `${this.#settings.serverName} is registered at ${this.#settings.masterUrl}; players are sent to ${host}:${port}`,
    );
    this.#registered.resolve(registration);
  }

  async #tell(playerId: string, command: number, payload: Uint8Array): Promise<MailOutcome> {
    const outcome = this.#players.byId(playerId)
      ? this.#takeMail(playerId, 0, { from: undefined, command, payload: payload.slice() })
      : isPlayerId(playerId)
        ? ((await this.#link?.tell(playerId, command, payload)) ?? "refused")
        : "unknown";
    this.#counters.countMailSent(outcome);
    return outcome;
  }

  /** Never to a session that a newer one has left behind. [MAIL-4] */
  #takeMail(playerId: string, generation: number, mail: Mail): MailOutcome {
    const player = this.#players.byId(playerId);
    if (player === undefined || player.seat.generation < generation || player.held) {
      this.#counters.countMailReceived("stray");
      return "unknown";
    }
    const passed = this.#host.mail(player, mail) && player.send(mail.command, mail.payload);
    this.#counters.countMailReceived(passed ? "passed" : "kept");
    return "sent";
  }

  #take(orders: LinkOrders): void {
    if (!this.#orders.take(orders)) return;
    const { version, drain, settings } = orders;
    this.#log.info({ event: "orders", version, drain, settings }, `took orders of the operators, version ${version}`);
  }

  /** Players are closed whatever they are doing; those that are away have nothing to come back to. [CLOSE-4] */
  #revoke(revoked: readonly RevokedPlayer[]): void {
    const ending = this.#revocations.apply(revoked, (playerId) => this.#players.byId(playerId));
    for (const { player, code } of ending) player.close(code);
    this.#log.info(
      { event: "revoked", players: revoked.length, closed: ending.length },
      "the master has revoked players",
    );
  }

  #beat(): void {
    this.#pulse.beat();
    this.#orders.beat();
    this.#departure?.beat();
    this.#handovers?.beat();
    for (const session of this.#sessions) session.check();
  }
}

/** A label of the settings, which have looked at its form. */
function labelEntry(label: string): [string, string] {
  const equals = label.indexOf("=");
  return [label.slice(0, equals), label.slice(equals + 1)];
}

function shown(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith("..") ? file : path;
}

/** Waits for it, but not longer than this. */
async function within(timeoutMs: number, done: Promise<void> | undefined): Promise<void> {
  const { promise: timeout, resolve: onTimeout } = Promise.withResolvers<void>();
  const timer = setTimeout(onTimeout, timeoutMs);
  await Promise.race([done, timeout]);
  clearTimeout(timer);
}

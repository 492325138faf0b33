import { join, relative } from "node:path";
import { isDeepStrictEqual } from "node:util";
import {
  limits as protocolLimits,
  type LinkOrders,
  type RevokedPlayer,
  type WorldAnnouncement,
} from "../protocol/index.ts";
import { PlayerSaves } from "./authority/player-saves.ts";
import { SessionCallError } from "./authority/session-call.ts";
import { SessionDesk } from "./authority/session-desk.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { ClusterSettings } from "./config/settings.ts";
import type { Logger } from "./log.ts";
import { Farewell } from "./farewell.ts";
import { within } from "./within.ts";
import { CertificateKeeper } from "./keys/certificate-keeper.ts";
import { type ClusterKey, loadClusterKey } from "./keys/cluster-key.ts";
import { loadCertificate } from "./keys/certificate-source.ts";
import { type ClusterLimits, defaultLimits } from "./limits.ts";
import type { Fence } from "./master-link/fence.ts";
import type { Registration } from "./master-link/master-answers.ts";
import { MasterClient } from "./master-link/master-client.ts";
import { defaultPace, type LinkPace, MasterLink } from "./master-link/master-link.ts";
import { StandingOrders } from "./master-link/standing-orders.ts";
import { TicketDesk } from "./master-link/ticket-desk.ts";
import { Metrics, type MetricsSnapshot } from "./metrics.ts";
import type { Credentials } from "./net/tls-server.ts";
import { TickEnd } from "./net/tick-end.ts";
import { TurnEnd } from "./net/turn-end.ts";
import type { Peers } from "./peers/peers.ts";
import { type Readiness } from "./ops/ops-server.ts";
import { TickLoad } from "./plugin/tick-load.ts";
import { Counters } from "./plugin/counters.ts";
import { ClusterView } from "./plugin/cluster-view.ts";
import { unwatched } from "./plugin/hook-names.ts";
import { LogFeed } from "./plugin/log-feed.ts";
import { PluginHost } from "./plugin/plugin-host.ts";
import type { PluginTimers } from "./plugin/plugin-timers.ts";
import { TickLoop } from "./plugin/tick-loop.ts";
import type { Layout } from "./fragments/layout.ts";
import { PlayerGroups } from "./handover/player-groups.ts";
import { type ClusterWorld, createWorld, type WorldCounts } from "./world/cluster-world.ts";
import { ClusterStorage, type PluginStorage } from "./storage/cluster-storage.ts";
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
import type { ClusterAddress, ClusterOptions, ClusterServer } from "./cluster-server.ts";
import { describeAddress, describeCluster } from "./master-link/self-description.ts";
import { Neighbourhood } from "./neighbourhood.ts";
import { PlayerListeners } from "./net/player-listeners.ts";
import { type ClusterOps, openClusterOps } from "./ops/cluster-ops.ts";
import { PlayerMail } from "./session/player-mail.ts";

/** Prepares a cluster; nothing happens before its `start`. */
export function createCluster(options: ClusterOptions): ClusterServer {
  return new Server(options);
}

/** How long the master and the other clusters of the world have to take over what a draining one carries. */
const takeOverMs = 3_000;
/** What plugins keep has been written by then: this is for the last of it, where a disk hangs. */
const storageCloseTimeoutMs = 500;

/** What {@link createCluster} makes. */
export class Server implements ClusterServer {
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
  readonly #arrivals: () => Arrivals | undefined;
  /** `undefined` where the world is not shared: then there is nobody to hand players over to, either. */
  #neighbourhood: Neighbourhood | undefined;
  readonly #groups = new PlayerGroups<JoinedPlayer>();
  readonly #mail: PlayerMail;
  readonly #desk: TicketDesk;
  readonly #client: MasterClient;
  readonly #sessionDesk: SessionDesk;
  readonly #saves: PlayerSaves<JoinedPlayer>;
  #storage: ClusterStorage | undefined;
  #registration: Registration | undefined;
  readonly #registered = Promise.withResolvers<Registration>();
  readonly #superseded = Promise.withResolvers<Fence>();
  readonly #drained = Promise.withResolvers<void>();
  readonly #orders: StandingOrders<JoinedPlayer>;
  readonly #ticks: TickLoop;
  readonly #pulse: Pulse;
  readonly #tickEnd = new TickEnd();
  #ops: ClusterOps | undefined;
  #started = false;
  #pulseTimer: NodeJS.Timeout | undefined;
  #listeners: PlayerListeners | undefined;
  #certificate: CertificateKeeper | undefined;
  #link: MasterLink | undefined;
  #address: ClusterAddress | undefined;
  #everRegistered = false;
  #stopping: Promise<void> | undefined;
  #farewell: Farewell | undefined;

  /** @param arrivals who knows of players that other clusters hand over to this one, where it is not the neighbourhood */
  constructor(options: ClusterOptions, arrivals?: () => Arrivals | undefined) {
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
    this.#mail = new PlayerMail({
      players: this.#players,
      host: this.#host,
      metrics: this.#counters,
      passOn: async (...mail) => (await this.#link?.tell(...mail)) ?? "refused",
    });
    this.#world = createWorld(settings, this.#host);
    this.#layout = settings.world;
    this.#arrivals = arrivals ?? (() => this.#neighbourhood?.handovers.arrivals);
    this.#client = new MasterClient(settings.masterUrl);
    this.#desk = this.#createTicketDesk(ticketLifetimeMs);
    this.#sessionDesk = this.#createSessionDesk();
    this.#saves = this.#createSaves();
    this.#ticks = this.#createTicks();
    const pulseMs = Math.min(250, Math.max(10, settings.pingIntervalMs / 4));
    this.#pulse = new Pulse(pulseMs, monotonicMs);
    this.#orders = this.#createOrders();
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
    return this.#neighbourhood?.peers;
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

  get superseded(): Promise<Fence> {
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
    const context = this.#createContext();
    const listeners = await this.#listen(context, certificate.shown);
    this.#listeners = listeners;
    const { port, webSocketPort } = listeners;
    const address = { port, advertisedHost, advertisedPort: this.#settings.advertisedPort || port, webSocketPort };
    this.#address = address;
    try {
      this.#neighbourhood = await this.#meetNeighbours(context, certificate, address);
      await this.#openOps();
      await this.#host.start((log, timers, plugin) => this.#createView(log, timers, storage.of(plugin)));
    } catch (error) {
      this.#listeners?.close();
      this.#neighbourhood?.stop();
      this.#ops?.close();
      this.#host.end();
      throw error;
    }
    this.#started = true;
    this.#ticks.start();
    this.#pulseTimer = setInterval(() => this.#beat(), this.#pulse.intervalMs);
    this.#link = this.#createLink(key, certificate, address);
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
    const announced = this.#announceWorld();
    this.#layout = layout;
    if (this.#neighbourhood === undefined) this.#world?.changeLayout(layout);
    else this.#neighbourhood.changeLayout(layout);
    // Another boot makes the world's other clusters link anew: not for what the master is not told of.
    if (!isDeepStrictEqual(this.#announceWorld(), announced)) this.#link?.registerAgain();
  }

  /** `undefined` where the master is told of no world. */
  #announceWorld(): WorldAnnouncement | undefined {
    return this.#layout === undefined
      ? undefined
      : announceWorld(this.#layout, this.#neighbourhood?.peers.announcement);
  }

  async #stop(): Promise<void> {
    this.#farewell = new Farewell({
      drainMs: this.#settings.drainSeconds * 1_000,
      stopTimeoutMs: this.#limits.stopTimeoutMs,
      takeOverMs,
      nowMs: this.#clock.monotonicMs,
      host: this.#host,
      players: this.#players,
      sessions: this.#sessions,
      link: this.#link,
      handovers: this.#neighbourhood?.handovers,
      closeListeners: () => this.#listeners?.close(),
      settled: async () => void (await Promise.all([this.#saves.settled(), this.#storage?.settled()])),
    });
    await this.#farewell.say();
    this.#neighbourhood?.stop();
    this.#listeners?.close();
    this.#certificate?.stop();
    for (const session of this.#sessions) session.destroy();
    this.#ticks.stop();
    clearInterval(this.#pulseTimer);
    this.#sessionDesk.stop();
    this.#host.end();
    this.#ops?.close();
    await within(storageCloseTimeoutMs, this.#storage?.close());
  }

  #createTicketDesk(ticketLifetimeMs: number): TicketDesk {
    return new TicketDesk({
      fetchKeys: () => this.#client.keySet(),
      onKeySetError: (error) => {
        const reason = error instanceof Error ? error.message : "it failed";
        this.#log.warn({ event: "key-set-failed" }, `could not fetch the master's key set: ${reason}`);
      },
      clock: this.#clock,
      maxLifetimeSeconds: this.#limits.maxTicketLifetimeSeconds,
      ticketLifetimeMs,
    });
  }

  #createSessionDesk(): SessionDesk {
    return new SessionDesk({
      call: async (requests) => {
        if (this.#registration === undefined) throw new SessionCallError("not registered yet", "away");
        return this.#client.sessions(this.#registration, requests);
      },
      nowMs: this.#clock.monotonicMs,
      random: Math.random,
      log: this.#log,
    });
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
      entersAll: () => loads || this.#neighbourhood !== undefined,
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
      handovers: () => this.#neighbourhood?.handovers.handovers,
    });
  }

  #createTicks(): TickLoop {
    const { monotonicMs } = this.#clock;
    return new TickLoop({
      tickHz: this.#settings.tickHz,
      nowMs: monotonicMs,
      onTick: (tick, dtSeconds) => {
        const startedAtMs = monotonicMs();
        this.#host.tick(tick, dtSeconds);
        this.#world?.tick(tick, () => this.#neighbourhood?.tick(tick));
        this.#tickEnd.run();
        this.#neighbourhood?.endTick();
        const tookSeconds = (monotonicMs() - startedAtMs) / 1_000;
        this.#counters.tickTime.observe(tookSeconds);
        this.#tickLoad.observe(tookSeconds);
        if (tookSeconds > dtSeconds) this.#counters.ticksOverrun += 1;
      },
      onSkipped: (count) => {
        this.#counters.ticksSkipped += count;
      },
    });
  }

  #createOrders(): StandingOrders<JoinedPlayer> {
    return new StandingOrders({
      players: this.#players,
      nowMs: this.#clock.monotonicMs,
      beatMs: this.#pulse.intervalMs,
      leadMs: this.#settings.drainSeconds * 1_000,
      settleMs: () => (this.#neighbourhood === undefined ? 0 : takeOverMs),
      moveOn: (player) => {
        if (this.#neighbourhood?.handovers.isMoving(player) !== true) player.close("SHUTTING_DOWN");
      },
      isBusy: () => (this.#neighbourhood?.handovers.undelivered ?? 0) > 0,
      onDrained: () => this.#drained.resolve(),
    });
  }

  async #createCertificateKeeper(keyId: string): Promise<CertificateKeeper> {
    return CertificateKeeper.create({
      load: () => loadCertificate(this.#settings, keyId, new Date(this.#clock.wallMs())),
      overlapMs: this.#limits.certificateOverlapMs,
      checkMs: this.#limits.certificateCheckMs,
      clock: this.#clock,
      log: this.#log,
      onAnnounce: () => this.#link?.registerAgain(),
      onShow: (certificate) => {
        this.#listeners?.show(certificate);
        this.#neighbourhood?.show(certificate);
      },
    });
  }

  /** `undefined` where the world is not shared. @throws ListenError */
  async #meetNeighbours(
    context: SessionContext,
    certificate: CertificateKeeper,
    address: ClusterAddress,
  ): Promise<Neighbourhood | undefined> {
    const { worldName: world } = this.#settings;
    if (world === undefined || this.#layout === undefined) return undefined;
    return Neighbourhood.meet({
      context,
      world,
      layout: this.#layout,
      credentials: certificate.shown,
      address: () => describeAddress(this.#settings, address, certificate.announcement),
      client: this.#client,
      tickets: this.#desk,
      sessions: this.#sessionDesk,
      groups: this.#groups,
      retryMs: this.#pace.retryMs,
      takesPlayers: () => this.#stopping === undefined && !this.#orders.draining,
    });
  }

  /** @throws ListenError */
  async #listen(context: SessionContext, credentials: Credentials): Promise<PlayerListeners> {
    return PlayerListeners.open({
      settings: this.#settings,
      limits: this.#limits,
      credentials,
      nowMs: this.#clock.monotonicMs,
      onRefused: (reason, address) => context.refusals.note(reason, address),
      onHandshake: (change) => {
        this.#counters.connections.handshake += change;
      },
      onConnection: (socket, pass) => void this.#sessions.add(new Session(context, socket, pass)),
    });
  }

  async #openOps(): Promise<void> {
    const { opsPort: port, opsHost: host } = this.#settings;
    if (port === undefined) return;
    this.#ops = await openClusterOps({
      host,
      port,
      log: this.#log,
      readiness: () => this.readiness,
      world: this.#world,
      source: () => ({
        metrics: this.#counters,
        players: this.#players.size,
        hooks: this.#host.records,
        queuedBytes: [...this.#sessions].map((session) => session.queuedBytes),
        registered: this.#everRegistered,
        linkUp: this.#link?.up ?? false,
        peerLinks: this.#neighbourhood?.peers.linked.length ?? 0,
        draining: this.#stopping !== undefined,
      }),
    });
  }

  #createContext(): SessionContext {
    return {
      settings: this.#settings,
      limits: this.#limits,
      replayBounds: {
        maxFrames: this.#limits.maxUnacknowledgedFrames,
        maxBytes: this.#limits.maxUnacknowledgedBytes,
      },
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
      arrivals: this.#arrivals,
      teleports: () => this.#neighbourhood?.handovers.teleports,
      seatsKeptFrom: (playerId) => this.#neighbourhood?.handovers.seatsKeptFrom(playerId) ?? 0,
      clientArrived: (player) => this.#neighbourhood?.handovers.clientArrived(player),
      saves: this.#saves,
      world: this.#world,
      onSessionEnd: (session) => this.#sessions.delete(session),
      tick: () => this.#ticks.tick,
      stopping: () => this.#stopping !== undefined || this.#orders.moving,
      maxPlayers: () => this.#orders.capacity ?? this.#settings.maxConnections,
      verifyTicket: async (ticket, hello) => {
        const verdict = await this.#desk.verify(ticket, hello);
        if (verdict?.ok === true) this.#sessionDesk.noteSign(this.#clock.wallMs() - verdict.claims.iat * 1_000);
        return verdict;
      },
      seats: {
        joined: (seat) => this.#link?.joined(seat),
        left: (seat) => this.#link?.left(seat),
      },
    };
  }

  #createView(log: Logger, timers: PluginTimers, storage: PluginStorage): ClusterView {
    return new ClusterView(
      this.#settings.serverName,
      {
        players: this.#players,
        counters: this.#gameCounters,
        world: this.#world,
        tell: (playerId, command, payload) => this.#mail.tell(playerId, command, payload),
        groups: this.#groups,
        storage,
      },
      log,
      timers,
    );
  }

  #createLink(key: ClusterKey, certificate: CertificateKeeper, address: ClusterAddress): MasterLink {
    const { keysDir, keyName } = this.#settings;
    return new MasterLink({
      client: this.#client,
      masterUrl: this.#settings.masterUrl,
      key,
      publicKeyFile: shown(join(keysDir, `${keyName}.pub`)),
      request: () =>
        describeCluster(this.#settings, address, {
          tls: certificate.announcement,
          counters: this.#gameCounters.list(),
          world: this.#announceWorld(),
        }),
      facts: () => ({ tickMs: this.#tickLoad.ms, counters: this.#gameCounters.list() }),
      desk: this.#desk,
      clock: this.#clock,
      random: Math.random,
      log: this.#log,
      pace: this.#pace,
      onRegistered: (registration, { tls }) => {
        this.#certificate?.announced(tls);
        this.#onRegistered(registration);
      },
      onFence: (playerId, generation) => this.#sessionDesk.hear(playerId, { type: "fence", playerId, generation }),
      onOrders: (orders) => this.#take(orders),
      onRevoke: (players) => this.#revoke(players),
      onMail: ({ from, playerId, generation, command, payload }) => {
        this.#mail.take(playerId, generation, { from, command, payload: Buffer.from(payload, "base64") });
      },
      onSession: (playerId, message) => this.#sessionDesk.hear(playerId, message),
      onUp: () => this.#sessionDesk.hurry(),
      onWorldVersion: (version) => this.#neighbourhood?.peers.noteVersion(version),
      onSuperseded: (fence) => this.#superseded.resolve(fence),
    });
  }

  #onRegistered(registration: Registration): void {
    this.#registration = registration;
    this.#sessionDesk.hurry();
    const first = !this.#everRegistered;
    this.#everRegistered = true;
    const { advertisedHost: host, advertisedPort: port } = this.#address ?? { advertisedHost: "", advertisedPort: 0 };
    const { clusterId, boot } = registration;
    this.#neighbourhood?.registered(registration);
    this.#log.info(
      { event: first ? "ready" : "registered-again", clusterId, boot, host, port },
      `${this.#settings.serverName} is registered at ${this.#settings.masterUrl}; players are sent to ${host}:${port}`,
    );
    this.#registered.resolve(registration);
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
    this.#farewell?.beat();
    this.#neighbourhood?.beat();
    for (const session of this.#sessions) session.check();
  }
}

function shown(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith("..") ? file : path;
}

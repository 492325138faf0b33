import type { ClusterRef } from "../../protocol/handover/parties.ts";
import type { WorldCluster, WorldMapView } from "../../protocol/index.ts";
import type { ClusterSettings } from "../config/settings.ts";
import type { Layout } from "../fragments/layout.ts";
import type { Logger } from "../log.ts";
import type { MasterClient } from "../master-link/master-client.ts";
import type { Registration } from "../master-link/master-answers.ts";
import type { TicketDesk } from "../master-link/ticket-desk.ts";
import type { Credentials } from "../net/tls-server.ts";
import type { SharedWorld } from "../world/world-announcement.ts";
import { carriedNames } from "../fragments/carry-change.ts";
import { carriedLayout, carriersOf } from "./carriers.ts";
import { decodePeerMessage, encodePeerMessage, type PeerMessage } from "./handover-codec.ts";
import { HandoverToll } from "./handover-toll.ts";
import { MapWatch } from "./map-watch.ts";
import { decodePeerAddress, encodePeerAddress, type PeerAddress } from "./peer-address.ts";
import type { PeerConnectionLimits } from "./peer-connection.ts";
import { maxPeerFrameBytes, type PeerFrame, peerFrameKinds } from "./peer-frame.ts";
import { PeerMesh } from "./peer-mesh.ts";
import type { Carrier, PeerEvents, Peers } from "./peers.ts";

export interface WorldPeersOptions {
  readonly settings: Pick<ClusterSettings, "peerHost" | "peerPort" | "peerAdvertisedHost" | "peerAdvertisedPort">;
  /** Name of the world that is shared. */
  readonly world: string;
  /** Its layout, as the settings give it. */
  readonly layout: Layout;
  readonly credentials: Credentials;
  readonly client: Pick<MasterClient, "world" | "peerTicket">;
  readonly desk: Pick<TicketDesk, "verifyPeer">;
  readonly log: Logger;
  readonly random: () => number;
  readonly nowMs: () => number;
  readonly retryMs: readonly [number, number];
  /** Where players reach this cluster, save for its id. Read anew for each registration. */
  readonly address: () => Omit<PeerAddress, "id">;
  /** Another part of the world is to be carried here from now on. */
  readonly onCarried: (layout: Layout) => void;
  /** The link to a cluster is not read for a moment, as too much has come. [PEER-8] */
  readonly onRest: () => void;
  readonly limits?: Partial<PeerConnectionLimits>;
}

/** How many clusters' addresses are kept before those without a link are forgotten. */
const maxAddresses = 256;
/** Longest wait for the first frame behind the welcome. */
const addressTimeoutMs = 5_000;
/** Shorter rests than this would come after each message, and cost more than what they keep away. */
const leastRestMs = 50;
/** What a neighbour may tell of ghosts in a turn of the event loop, in bytes: some 3 ms of this process. The next ones bring the rest. [GHOST-6] */
export const maxGhostBytesInTurn = 65_536;

/** This cluster's part in a world that is shared: the map in force, what of it is carried here, and the links to the others. */
export class WorldPeers implements Peers {
  readonly #options: WorldPeersOptions;
  readonly #mesh: PeerMesh;
  readonly #watch: MapWatch;
  readonly #listeners: PeerEvents[] = [];
  #announced: Layout;
  #carried: Layout;
  #carriers: ReadonlyMap<string, WorldCluster> = new Map();
  /** What of the world the log says is carried here. */
  #said: string | undefined;
  #registration: Registration | undefined;
  #port = 0;
  /** Links that stand and are not up yet. */
  readonly #greeted = new Map<string, { readonly boot: number; readonly timer: NodeJS.Timeout }>();
  readonly #toll: HandoverToll;
  /** What has come of ghosts in this turn, by neighbour. */
  readonly #ghostBytes = new Map<string, number>();
  readonly #links = new Map<string, ClusterRef>();
  /** Where players reach clusters, as those have said last; also of those to which there is no link now. */
  readonly #addresses = new Map<string, PeerAddress>();

  constructor(options: WorldPeersOptions) {
    const { settings, credentials, client, log, random, nowMs, limits } = options;
    this.#options = options;
    this.#announced = options.layout;
    this.#carried = options.layout;
    this.#toll = new HandoverToll(nowMs);
    this.#mesh = new PeerMesh({
      host: settings.peerHost,
      port: settings.peerPort,
      credentials,
      log,
      random,
      nowMs,
      self: () => this.self,
      ticketFor: async (clusterId) => (await client.peerTicket(this.#session(), clusterId)).ticket,
      verify: (ticket) => options.desk.verifyPeer(ticket, options.world),
      listener: {
        onUp: (clusterId, boot) => this.#greet(clusterId, boot),
        onDown: (clusterId, boot) => this.#lost(clusterId, boot),
        onFrame: (clusterId, frame) => this.#heard(clusterId, frame),
      },
      ...(limits === undefined ? {} : { limits }),
    });
    this.#watch = new MapWatch({
      fetch: () => client.world(this.#session()),
      onMap: (map) => this.#follow(map),
      log,
      random,
      retryMs: options.retryMs,
    });
  }

  get self(): ClusterRef | undefined {
    const { clusterId, boot } = this.#registration ?? {};
    return clusterId === undefined || boot === undefined ? undefined : { clusterId, boot };
  }

  get linked(): readonly ClusterRef[] {
    return [...this.#links.values()];
  }

  /** What the master is to be told of this cluster's world. */
  get announcement(): SharedWorld {
    const { world, settings } = this.#options;
    return {
      name: world,
      peer: { host: settings.peerAdvertisedHost, port: settings.peerAdvertisedPort || this.#port },
    };
  }

  /** The layout with what is carried here. */
  get carried(): Layout {
    return this.#carried;
  }

  /** Lets the others in. @throws ListenError */
  async open(): Promise<void> {
    this.#port = await this.#mesh.listen();
  }

  /** Another certificate is shown from the next handshake on. */
  show(credentials: Credentials): void {
    this.#mesh.show(credentials);
  }

  registered(registration: Registration): void {
    this.#registration = registration;
    this.#watch.restart();
    // Perhaps it was because of another certificate.
    for (const { clusterId } of this.#mesh.linked) this.#sayAddress(clusterId);
  }

  /** The map of the world has this version at the master. */
  noteVersion(version: number): void {
    this.#watch.note(version);
  }

  /** The world is laid out anew; what of it is carried here stands in {@link carried}. */
  changeLayout(announced: Layout): void {
    this.#announced = announced;
    this.#carried = carriedLayout(announced, this.#carriers, this.self?.clusterId);
  }

  bootOf(clusterId: string): number | undefined {
    return this.#links.get(clusterId)?.boot;
  }

  addressOf(clusterId: string): PeerAddress | undefined {
    return this.#addresses.get(clusterId);
  }

  send(clusterId: string, message: PeerMessage): boolean {
    if (this.bootOf(clusterId) === undefined) return false;
    const body = encodePeerMessage(message);
    if (body.length < maxPeerFrameBytes) return this.#mesh.send(clusterId, peerFrameKinds.handover, body);
    const { type } = message;
    this.#options.log.error(
      { event: "peer-message-too-long", clusterId, type, bytes: body.length },
      `a message for ${clusterId} is too long for the link and was not sent`,
    );
    return false;
  }

  sendGhosts(clusterId: string, body: Uint8Array): boolean {
    return this.#links.has(clusterId) && this.#mesh.send(clusterId, peerFrameKinds.ghosts, body);
  }

  queuedBytes(clusterId: string): number {
    return this.#mesh.queuedBytes(clusterId);
  }

  isCarriedBy(clusterId: string, fragment: string): boolean {
    return this.#carriers.get(fragment)?.clusterId === clusterId;
  }

  carrierOf(x: number, y: number, z: number): Carrier | undefined {
    const { fragments, locator } = this.#announced;
    const name = fragments[locator.locate(x, y, z)]?.name ?? "";
    const carrier = this.#carriers.get(name);
    if (carrier === undefined || carrier.clusterId === this.self?.clusterId) return undefined;
    const { clusterId } = carrier;
    const boot = this.bootOf(clusterId);
    return { fragment: name, clusterId, boot: boot ?? carrier.boot, linked: boot !== undefined };
  }

  listen(events: PeerEvents): void {
    this.#listeners.push(events);
  }

  stop(): void {
    this.#watch.stop();
    this.#mesh.stop();
  }

  #session(): Registration {
    if (this.#registration === undefined) throw new Error("the cluster is not registered");
    return this.#registration;
  }

  #follow(map: WorldMapView): void {
    const { world, log, onCarried } = this.#options;
    // Another registration may have named another world a moment ago: then the next map is ours.
    if (map.world !== world) return;
    this.#carriers = carriersOf(map);
    const before = carriedNames(this.#carried).join();
    this.#carried = carriedLayout(this.#announced, this.#carriers, this.self?.clusterId);
    const carried = carriedNames(this.#carried);
    if (carried.join() !== before) onCarried(this.#carried);
    // The master may not have decided yet about what was announced just now.
    const isDecided = carriedNames(this.#announced).every((name) => this.#carriers.has(name));
    if (isDecided && this.#said !== carried.join()) {
      this.#said = carried.join();
      const text = carried.length === 0 ? "nothing: it stands by" : carried.join(", ");
      const fields = { event: "world-map", world, version: map.version, carried };
      log.info(fields, `of the world ${world} this cluster carries ${text}`);
    }
    this.#mesh.update(map);
    for (const { onMap } of this.#listeners) onMap?.();
  }

  /** A link stands: it is up when both know where players reach the other. [PEER-7] */
  #greet(clusterId: string, boot: number): void {
    // What it owes since the link before is paid before anything of this one is read.
    this.#rest(clusterId, this.#toll.owedMs(clusterId));
    this.#sayAddress(clusterId);
    const timer = setTimeout(() => this.#mesh.end(clusterId, "no address"), addressTimeoutMs);
    this.#greeted.set(clusterId, { boot, timer });
  }

  #sayAddress(clusterId: string): void {
    const id = this.self?.clusterId;
    if (id === undefined) return;
    this.#mesh.send(clusterId, peerFrameKinds.address, encodePeerAddress({ id, ...this.#options.address() }));
  }

  #heard(clusterId: string, { kind, body }: PeerFrame): void {
    if (kind === peerFrameKinds.address) {
      this.#rest(clusterId, this.#toll.charge(clusterId, { type: "address" }, body.length));
      return this.#learnAddress(clusterId, decodePeerAddress(body, clusterId));
    }
    const link = this.#links.get(clusterId);
    if (link === undefined) throw new Error("no address before a message");
    const from = { clusterId, boot: link.boot };
    if (kind === peerFrameKinds.ghosts) {
      this.#leaveTurns(clusterId, body.length);
      for (const { onGhosts } of this.#listeners) onGhosts?.(from, body);
    } else if (kind === peerFrameKinds.handover) {
      const message = this.#decode(clusterId, body);
      this.#rest(clusterId, this.#toll.charge(clusterId, message, body.length));
      for (const { onMessage } of this.#listeners) onMessage?.(from, message);
    }
  }

  #decode(clusterId: string, body: Uint8Array): PeerMessage {
    try {
      return decodePeerMessage(body);
    } catch (error) {
      // The link ends over it; the time that it took is owed all the same.
      this.#toll.charge(clusterId, { type: "malformed" }, body.length);
      throw error;
    }
  }

  /** Whoever tells much of ghosts leaves turns to others: what comes behind waits, if only for a moment. [GHOST-6] */
  #leaveTurns(clusterId: string, bytes: number): void {
    if (this.#ghostBytes.size === 0) setImmediate(() => this.#ghostBytes.clear());
    const inTurn = (this.#ghostBytes.get(clusterId) ?? 0) + bytes;
    this.#ghostBytes.set(clusterId, inTurn);
    if (inTurn >= maxGhostBytesInTurn) this.#mesh.rest(clusterId, 0);
  }

  /** What a neighbour says about handovers costs it some of its time. [PEER-8] */
  #rest(clusterId: string, owedMs: number): void {
    if (owedMs === 0 || !this.#mesh.rest(clusterId, Math.max(owedMs, leastRestMs))) return;
    this.#options.onRest();
    if (!this.#toll.isNews(clusterId)) return;
    const text = `${clusterId} says more about handovers than is taken at once: the link is read slowly`;
    this.#options.log.warn({ event: "peer-resting", clusterId }, text);
  }

  #learnAddress(clusterId: string, address: PeerAddress): void {
    const greeted = this.#greeted.get(clusterId);
    const boot = greeted?.boot ?? this.#links.get(clusterId)?.boot ?? 0;
    this.#links.set(clusterId, { clusterId, boot });
    this.#noteAddress(clusterId, address);
    if (greeted === undefined) return;
    clearTimeout(greeted.timer);
    this.#greeted.delete(clusterId);
    for (const { onUp } of this.#listeners) onUp({ clusterId, boot });
  }

  #noteAddress(clusterId: string, address: PeerAddress): void {
    this.#addresses.set(clusterId, address);
    if (this.#addresses.size <= maxAddresses) return;
    for (const known of this.#addresses.keys()) if (!this.#links.has(known)) this.#addresses.delete(known);
  }

  #lost(clusterId: string, boot: number): void {
    clearTimeout(this.#greeted.get(clusterId)?.timer);
    this.#greeted.delete(clusterId);
    this.#toll.forgetPaid();
    if (!this.#links.delete(clusterId)) return;
    for (const { onDown } of this.#listeners) onDown({ clusterId, boot });
  }
}

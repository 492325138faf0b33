import { connect, type TLSSocket } from "node:tls";
import type { PeerTicket } from "../../auth/peer-ticket.ts";
import type { ClusterRef } from "../../protocol/handover/parties.ts";
import type { ClusterTls, WorldCluster, WorldMapView } from "../../protocol/index.ts";
import type { Logger } from "../log.ts";
import { Backoff } from "../backoff.ts";
import { Admission } from "../net/admission.ts";
import { createTlsServer, type Credentials, type Listener } from "../net/tls-server.ts";
import { defaultPeerLimits, PeerConnection, type PeerConnectionLimits } from "./peer-connection.ts";
import { pause } from "./pause.ts";
import { maxPeerFrameBytes, type PeerFrame, type PeerFrameKind, peerFrameKinds } from "./peer-frame.ts";

/** What happens on the links to other clusters. Frames of one cluster come in order, each once, between its `onUp` and `onDown`. */
export interface PeerListener {
  readonly onUp: (clusterId: string, boot: number) => void;
  readonly onDown: (clusterId: string, boot: number) => void;
  readonly onFrame: (clusterId: string, frame: PeerFrame) => void;
}

export interface PeerMeshOptions {
  /** `undefined` means every address. */
  readonly host: string | undefined;
  /** 0 for any. */
  readonly port: number;
  readonly credentials: Credentials;
  readonly log: Logger;
  readonly random: () => number;
  readonly nowMs: () => number;
  /** This process, as the master knows it; `undefined` while it does not. */
  readonly self: () => { readonly clusterId: string; readonly boot: number } | undefined;
  /** Asks the master for a ticket with which to dial this cluster. Has a deadline; rejects when there is none to be had. */
  readonly ticketFor: (clusterId: string) => Promise<string>;
  /** The checks of a ticket that somebody shows; `undefined` when it does not do. */
  readonly verify: (ticket: string) => Promise<PeerTicket | undefined>;
  readonly listener: PeerListener;
  readonly limits?: Partial<PeerConnectionLimits>;
  /** How long a link stays to a cluster that carries nothing of the world any more. */
  readonly lingerMs?: number;
}

interface Peer {
  readonly clusterId: string;
  readonly boot: number;
  readonly connection: PeerConnection;
  readonly sinceMs: number;
  /** Runs while it carries nothing of the world. */
  lingering?: NodeJS.Timeout | undefined;
}

const handshakeTimeoutMs = 5_000;
const helloTimeoutMs = 5_000;
/** Longer than a drain takes as a rule. */
const defaultLingerMs = 120_000;
const maxStrangers = 64;
const maxStrangersPerAddress = 16;
const [leastRetryMs, greatestRetryMs] = [250, 8_000];
/** The longest pause before a link that did not last is made again. */
const greatestFlapMs = 2_000;
/** A link that ends sooner than this does not last: it is not made again at once. [PEER-1] */
const lastingMs = 10_000;

/** [TLS-1] */
const ciphers = "TLS_AES_256_GCM_SHA384";

/** The links to the other clusters of the world: one to each, made by the one whose id comes first. Spec: docs/HANDOVER.md, section 15. */
export class PeerMesh {
  readonly #options: PeerMeshOptions;
  readonly #limits: PeerConnectionLimits;
  readonly #peers = new Map<string, Peer>();
  readonly #dialling = new Map<string, AbortController>();
  /** How long to wait before the next link to clusters whose last one did not last. */
  readonly #flaps = new Map<string, Backoff>();
  readonly #strangers = new Set<PeerConnection>();
  #server: Listener | undefined;
  #wanted: ReadonlyMap<string, WorldCluster> = new Map();
  #stopped = false;

  constructor(options: PeerMeshOptions) {
    this.#options = options;
    this.#limits = { ...defaultPeerLimits, ...options.limits };
  }

  /** @throws ListenError */
  async listen(): Promise<number> {
    const { host, port, credentials, nowMs } = this.#options;
    this.#server = await createTlsServer(
      {
        host,
        port,
        portSetting: "[cluster] peer_port",
        credentials,
        tls12: false,
        handshakeTimeoutMs,
        proxies: undefined,
        admission: new Admission(
          { maxTotal: maxStrangers, maxPerGroup: maxStrangersPerAddress, penaltyHalfLifeMs: 10_000 },
          nowMs,
        ),
        onRefused: () => undefined,
        onHandshake: () => undefined,
      },
      (socket, handshake) => {
        const pass = handshake.succeed();
        if (pass === undefined) socket.destroy();
        else this.#receive(socket, () => pass.release(false));
      },
    );
    return this.#server.port;
  }

  /** Another certificate is shown from the next handshake on. */
  show(credentials: Credentials): void {
    this.#server?.show(credentials);
  }

  /**
   * Who is in the world now: links to later and earlier processes end, and missing ones are made. One to a cluster that carries nothing any
   * more stays for a while: it has players to hand over, as it drains.
   */
  update(map: WorldMapView): void {
    const self = this.#options.self();
    if (self === undefined || this.#stopped) return;
    const others = map.clusters.filter(({ clusterId }) => clusterId !== self.clusterId);
    this.#wanted = new Map(others.map((cluster) => [cluster.clusterId, cluster]));
    for (const peer of this.#peers.values()) {
      const wanted = this.#wanted.get(peer.clusterId);
      if (wanted === undefined) this.#endLater(peer);
      else if (wanted.boot !== peer.boot) peer.connection.end("another process is in the world");
    }
    for (const [clusterId, dialling] of this.#dialling) if (!this.#wanted.has(clusterId)) dialling.abort();
    for (const clusterId of this.#flaps.keys()) if (!this.#wanted.has(clusterId)) this.#flaps.delete(clusterId);
    for (const cluster of this.#wanted.values()) this.#ensure(cluster.clusterId);
  }

  #endLater(peer: Peer): void {
    const { lingerMs = defaultLingerMs } = this.#options;
    peer.lingering ??= setTimeout(() => {
      peer.lingering = undefined;
      if (!this.#wanted.has(peer.clusterId)) peer.connection.end("no longer in the world");
    }, lingerMs).unref();
  }

  /** The processes to which links stand. */
  get linked(): readonly ClusterRef[] {
    return Array.from(this.#peers.values(), ({ clusterId, boot }) => ({ clusterId, boot }));
  }

  /** Boot of the process that a link leads to; `undefined` without one. */
  bootOf(clusterId: string): number | undefined {
    return this.#peers.get(clusterId)?.boot;
  }

  /** Bytes that wait for the link to a cluster. */
  queuedBytes(clusterId: string): number {
    return this.#peers.get(clusterId)?.connection.queuedBytes ?? 0;
  }

  /** @returns whether it is on its way; it may still be lost with the link */
  send(clusterId: string, kind: PeerFrameKind, body: Uint8Array): boolean {
    return this.#peers.get(clusterId)?.connection.send(kind, body) ?? false;
  }

  /** Reads nothing of a cluster for so long. @returns whether it has been read until now [PEER-8] */
  rest(clusterId: string, ms: number): boolean {
    return this.#peers.get(clusterId)?.connection.rest(ms) ?? false;
  }

  /** Breaks the link to a cluster; it is made again. */
  end(clusterId: string, reason: string): void {
    this.#peers.get(clusterId)?.connection.end(reason);
  }

  stop(): void {
    this.#stopped = true;
    this.#server?.close();
    for (const dialling of this.#dialling.values()) dialling.abort();
    for (const stranger of this.#strangers) stranger.end("stopping");
    for (const { connection } of this.#peers.values()) connection.end("stopping");
  }

  /** Begins to dial a cluster, if that is this side's to do and it is not done or under way. [PEER-1] */
  #ensure(clusterId: string): void {
    const self = this.#options.self();
    const dials = self !== undefined && self.clusterId < clusterId;
    if (!dials || this.#stopped || this.#peers.has(clusterId) || this.#dialling.has(clusterId)) return;
    const abort = new AbortController();
    this.#dialling.set(clusterId, abort);
    void this.#dial(clusterId, abort.signal).finally(() => {
      this.#dialling.delete(clusterId);
      // It may have gone down again, or come back to the world, while that was under way.
      if (this.#wanted.has(clusterId)) this.#ensure(clusterId);
    });
  }

  async #dial(clusterId: string, signal: AbortSignal): Promise<void> {
    const { log, random, ticketFor } = this.#options;
    const backoff = new Backoff(leastRetryMs, greatestRetryMs, random);
    const flaps = this.#flaps.get(clusterId);
    if (flaps !== undefined) await pause(flaps.next(), signal);
    while (!signal.aborted) {
      const wanted = this.#wanted.get(clusterId);
      if (wanted === undefined) return;
      try {
        if (wanted.peer === undefined) throw new Error("it takes no peers");
        const ticket = await ticketFor(clusterId);
        if (signal.aborted) return;
        const socket = await openTls(wanted.peer, signal);
        if (await this.#greet(socket, wanted, ticket, signal)) return;
        throw new Error("it did not answer");
      } catch (error) {
        if (signal.aborted) return;
        const reason = error instanceof Error ? error.message : "failed";
        const delayMs = backoff.next();
        log.info({ event: "peer-unreachable", clusterId, reason }, `no link to ${clusterId}: ${reason}`);
        await pause(delayMs, signal);
      }
    }
  }

  /** Shows the ticket; whether the link stands. */
  async #greet(socket: TLSSocket, wanted: WorldCluster, ticket: string, signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const { clusterId, boot } = wanted;
    const deadline = setTimeout(() => connection.end("no welcome"), helloTimeoutMs);
    const abort = (): void => connection.end("not wanted any more");
    let peer: Peer | undefined;
    const connection = new PeerConnection(socket, this.#limits, {
      onFrame: (frame) => {
        if (peer !== undefined) return this.#heard(peer, frame);
        if (frame.kind !== peerFrameKinds.welcome) return connection.end("no welcome");
        // Of two processes at one address the ticket may have been the later one's, and the map came while all this was under way. [PEER-4]
        if (this.#wanted.get(clusterId)?.boot !== boot) return connection.end("another process is in the world");
        clearTimeout(deadline);
        signal.removeEventListener("abort", abort);
        peer = this.#install(clusterId, boot, connection);
        resolve(true);
      },
      onEnd: (reason) => {
        clearTimeout(deadline);
        signal.removeEventListener("abort", abort);
        resolve(false);
        if (peer !== undefined) this.#lost(peer, reason);
      },
    });
    signal.addEventListener("abort", abort, { once: true });
    connection.send(peerFrameKinds.hello, Buffer.from(ticket, "latin1"));
    return promise;
  }

  /** A stranger has connected: its first frame has to be a good ticket, soon. [PEER-3] */
  #receive(socket: TLSSocket, release: () => void): void {
    let peer: Peer | undefined;
    let asked = false;
    const connection = new PeerConnection(socket, this.#limits, {
      onFrame: (frame) => {
        if (peer !== undefined) return this.#heard(peer, frame);
        if (asked || frame.kind !== peerFrameKinds.hello) return connection.end("no hello");
        asked = true;
        void this.#judge(Buffer.from(frame.body).toString("latin1")).then((ticket) => {
          if (!connection.open) return;
          if (ticket === undefined) return connection.end("refused");
          clearTimeout(deadline);
          release();
          this.#strangers.delete(connection);
          const { clusterId, boot } = ticket.source;
          peer = this.#install(clusterId, boot, connection);
        });
      },
      onEnd: (reason) => {
        clearTimeout(deadline);
        release();
        this.#strangers.delete(connection);
        if (peer !== undefined) this.#lost(peer, reason);
      },
    });
    this.#strangers.add(connection);
    const deadline = setTimeout(() => connection.end("no hello"), helloTimeoutMs);
    if (this.#stopped) connection.end("stopping");
  }

  async #judge(shown: string): Promise<PeerTicket | undefined> {
    const ticket = await this.#options.verify(shown).catch(() => undefined);
    const self = this.#options.self();
    if (ticket === undefined || self === undefined || this.#stopped) return undefined;
    const { clusterId, boot } = ticket.source;
    // The side whose id comes first dials; an older process of the same cluster has nothing to say any more. [PEER-1] [PEER-4]
    const newest = Math.max(this.#peers.get(clusterId)?.boot ?? 0, this.#wanted.get(clusterId)?.boot ?? 0);
    return clusterId < self.clusterId && newest <= boot ? ticket : undefined;
  }

  /** The link stands. An older one is broken before anything of the new one is read. [HAND-12] */
  #install(clusterId: string, boot: number, connection: PeerConnection): Peer {
    this.#peers.get(clusterId)?.connection.end("replaced");
    const peer: Peer = { clusterId, boot, connection, sinceMs: this.#options.nowMs() };
    this.#peers.set(clusterId, peer);
    connection.maxFrameBytes = maxPeerFrameBytes;
    const self = this.#options.self();
    if (self !== undefined && clusterId < self.clusterId) connection.send(peerFrameKinds.welcome);
    this.#options.log.info({ event: "peer-up", clusterId, boot }, `linked to ${clusterId}`);
    this.#options.listener.onUp(clusterId, boot);
    return peer;
  }

  #heard(peer: Peer, frame: PeerFrame): void {
    if (frame.kind < peerFrameKinds.handover) peer.connection.end("a greeting out of place");
    else this.#options.listener.onFrame(peer.clusterId, frame);
  }

  #lost(peer: Peer, reason: string): void {
    const { clusterId, boot, sinceMs } = peer;
    const { random, nowMs } = this.#options;
    clearTimeout(peer.lingering);
    if (nowMs() - sinceMs >= lastingMs) this.#flaps.delete(clusterId);
    else if (!this.#flaps.has(clusterId)) {
      this.#flaps.set(clusterId, new Backoff(leastRetryMs, greatestFlapMs, random));
    }
    if (this.#peers.get(clusterId) === peer) this.#peers.delete(clusterId);
    this.#options.log.info({ event: "peer-down", clusterId, reason }, `the link to ${clusterId} has ended: ${reason}`);
    this.#options.listener.onDown(clusterId, boot);
    if (this.#wanted.has(clusterId)) this.#ensure(clusterId);
  }
}

/** A verified TLS connection. Rejects when there is none in time. */
async function openTls(
  peer: { readonly host: string; readonly port: number; readonly tls: ClusterTls },
  signal: AbortSignal,
): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connect({
    host: peer.host,
    port: peer.port,
    servername: peer.tls.serverName,
    ca: peer.tls.caPem,
    ciphers,
    minVersion: "TLSv1.3",
    rejectUnauthorized: true,
    allowPartialTrustChain: true,
  });
  const fail = (reason: string): void => {
    socket.destroy();
    reject(new Error(reason));
  };
  const deadline = setTimeout(() => fail("no TLS connection in time"), handshakeTimeoutMs);
  const abort = (): void => fail("not wanted any more");
  signal.addEventListener("abort", abort, { once: true });
  socket.once("error", (error) => fail(error.message));
  socket.once("secureConnect", () => resolve(socket));
  try {
    return await promise;
  } finally {
    clearTimeout(deadline);
    signal.removeEventListener("abort", abort);
  }
}

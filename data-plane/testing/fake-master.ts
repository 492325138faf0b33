import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { exportJWK, generateKeyPair } from "jose";
import { type WebSocket, WebSocketServer } from "ws";
import { claimedClusterIdentity, type ClusterPublicKey, verifyClusterAssertion } from "../../auth/cluster-assertion.ts";
import { signPeerTicket } from "../../auth/peer-ticket.ts";
import { signHandoverToken } from "../../auth/handover-token.ts";
import { type SigningKey, signTicket, type TicketClaims } from "../../auth/ticket.ts";
import { stepSession } from "../../protocol/handover/session.ts";
import { claimsOf, openSession, type SessionEffect, type SessionState } from "../../protocol/handover/session-state.ts";
import type { SessionAnswer, SessionRequest } from "../authority/session-call.ts";
import type { ClusterRef, CommitClaims } from "../../protocol/handover/parties.ts";
import type {
  FenceReason,
  JsonWebKeySet,
  LinkReport,
  LinkTell,
  MailOutcome,
  ProblemCode,
  RegisterRequest,
  RegisterResponse,
  WorldCluster,
  WorldMapView,
} from "../../protocol/index.ts";
import { until } from "./until.ts";

interface FakeRefusal {
  readonly status: number;
  readonly code: ProblemCode;
  readonly fencedBy?: FenceReason;
}

/** A master of HTTP and WebSocket that a test holds by the strings. It checks assertions and tokens like the real one. */
export class FakeMaster {
  readonly registrations: RegisterRequest[] = [];
  readonly reports: LinkReport[] = [];
  readonly heartbeats: LinkReport[] = [];
  readonly tells: LinkTell[] = [];
  readonly calls: string[] = [];
  /** What was asked of players' sessions, each call by itself. */
  readonly consultations: (readonly SessionRequest<string>[])[] = [];
  /** Players' sessions, which the master's own code steps. */
  readonly sessions = new Map<string, SessionState<string>>();
  /** Answers each question to players' sessions so, while it is set. */
  refuseSessions: FakeRefusal | undefined;
  /** While it is set, questions to players' sessions are answered when it resolves. */
  holdSessions: Promise<void> | undefined;
  /** Enrolled keys by id. */
  readonly enrolled = new Map<string, ClusterPublicKey>();
  readonly links = new Set<WebSocket>();
  readonly game = "test";
  readonly clusterId = "default.test-cluster";
  pings = 0;
  keySetFetches = 0;
  deregistered = 0;
  /** Answers each call so, while it is set. */
  refuse: FakeRefusal | undefined;
  /** Turns WebSockets away, while it is set. */
  refuseLinks: FakeRefusal | undefined;
  /** Who has said that it is about to end, each call by itself. */
  readonly drains: string[] = [];
  /** Answers such a call so, while it is set. */
  refuseDrain: FakeRefusal | undefined;
  /** While it is set, such a call is answered when it resolves. */
  holdDrain: Promise<void> | undefined;
  /** While it is set, a registration that was taken is answered when it resolves. */
  holdRegister: Promise<void> | undefined;
  /** While it is set, a call to deregister is answered when it resolves. */
  holdDeregister: Promise<void> | undefined;
  /** While it is set, the key set is answered when it resolves. */
  holdKeySet: Promise<void> | undefined;
  acknowledge = true;
  /** Gives each instance an id of its own, and clusters that name a world a map of it. */
  manyClusters = false;
  /** Changes each map before it is told. */
  changeMap: (map: WorldMapView) => WorldMapView = (map) => map;
  /** Who is registered, in the order in which they first came. */
  readonly #clusters = new Map<string, { readonly boot: number; readonly request: RegisterRequest }>();
  /** Who is about to end: others carry what they can of its fragments. */
  readonly #ending = new Set<string>();
  #worldVersion = 0;
  /** Whether registrations say that messages to players elsewhere are taken. */
  takesMail = true;
  /** What becomes of such messages: no answer while it is not set. */
  mailOutcome: MailOutcome | undefined = "sent";
  answerPings = true;
  leaseMs = 3_000;
  pingIntervalMs = 100;
  reportIntervalMs = 100;
  boot = 100;
  readonly #server = createServer((request, response) => {
    this.#handle(request, response).catch((error: unknown) =>
      response.destroy(error instanceof Error ? error : undefined),
    );
  });
  readonly #sockets = new WebSocketServer({ noServer: true });
  #keys: SigningKey[] = [];
  #published: JsonWebKeySet = { keys: [] };
  #port = 0;
  #tickets = 0;
  /** The newest boot of every instance. */
  readonly boots = new Map<string, number>();
  /** What the tokens of commits say. */
  changeCommit = (claims: CommitClaims): CommitClaims => claims;
  #lastInstance = "";

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get sessionToken(): string {
    return `session-${this.boot}`;
  }

  async start(): Promise<this> {
    await this.addKey("key-1");
    this.#server.on("upgrade", (request, socket, head) => {
      this.calls.push(`UPGRADE ${request.url}`);
      const refusal = this.refuseLinks ?? this.#unauthorized(request);
      if (refusal !== undefined) {
        const body = JSON.stringify({ code: refusal.code, fencedBy: refusal.fencedBy });
        socket.end(
          `HTTP/1.1 ${refusal.status} No\r\ncontent-type: application/problem+json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
        );
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (link) => this.#serveLink(link));
    });
    await this.listen();
    return this;
  }

  /** Comes back where it was before {@link stop}. */
  async listen(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.listen(this.#port, "127.0.0.1", resolve);
    await promise;
    const address = this.#server.address();
    if (address !== null && typeof address !== "string") this.#port = address.port;
  }

  /** Vanishes: nothing listens, and links are cut. */
  async stop(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const link of this.links) link.terminate();
    this.#server.closeAllConnections();
    await promise;
  }

  /** Makes a signing key; an unpublished one is a stranger's. */
  async addKey(kid: string, published = true): Promise<SigningKey> {
    const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
    const { kty = "", crv = "", x = "", y = "" } = await exportJWK(publicKey);
    const signingKey = { kid, key: privateKey };
    if (published) {
      this.#keys = [signingKey, ...this.#keys];
      this.#published = { keys: [...this.#published.keys, { kty, crv, x, y, kid, alg: "ES256", use: "sig" }] };
    }
    return signingKey;
  }

  /** A good ticket, save for what `claims` says; every one is another player's unless it names one. */
  async ticket(claims: Partial<TicketClaims> = {}, signingKey?: SigningKey): Promise<string> {
    this.#tickets += 1;
    const now = Math.floor(Date.now() / 1_000);
    const [ownKey] = this.#keys;
    const key = signingKey ?? ownKey;
    if (key === undefined) throw new Error("the fake master has no key");
    return signTicket(
      {
        iss: this.url,
        aud: this.clusterId,
        sub: `player-${this.#tickets}`,
        jti: `ticket-id-${this.#tickets}`.padEnd(22, "x"),
        iat: now,
        nbf: now,
        exp: now + 60,
        game: this.game,
        proto: { min: 1, max: 1 },
        boot: this.boot,
        gen: 1,
        rsv: `seat-${this.#tickets}`,
        frag: "",
        name: `Player ${this.#tickets}`,
        ...claims,
      },
      key,
    );
  }

  /** Sends a command down every link. */
  command(command: object): void {
    for (const link of this.links) link.send(JSON.stringify(command));
  }

  /** Ends every link with a close code, and a reason. */
  endLinks(code: number, reason = ""): void {
    for (const link of this.links) link.close(code, reason);
  }

  async linked(): Promise<void> {
    await until("a link to the fake master", () => this.links.size > 0);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = `${request.method} ${request.url}`;
    this.calls.push(call);
    const body = await readBody(request);
    const { status, value } = await this.#answer(call, request, body);
    response.writeHead(status, { "content-type": status < 300 ? "application/json" : "application/problem+json" });
    response.end(value === undefined ? "" : JSON.stringify(value));
  }

  async #answer(call: string, request: IncomingMessage, body: unknown): Promise<{ status: number; value?: unknown }> {
    if (this.refuse !== undefined) return { status: this.refuse.status, value: this.refuse };
    if (call === "GET /.well-known/jwks.json") {
      this.keySetFetches += 1;
      await this.holdKeySet;
      return { status: 200, value: this.#published };
    }
    if (call === "POST /v1/clusters/register") return this.#register(bearer(request), body);
    const refusal = this.#unauthorized(request);
    if (refusal !== undefined) return { status: refusal.status, value: { code: refusal.code } };
    const [, clusterId = "", what] = /^\/v1\/clusters\/([^/]+)\/?(.*)$/.exec(request.url ?? "") ?? [];
    if (call.startsWith("GET ") && what === "world") return { status: 200, value: this.changeMap(this.map(clusterId)) };
    if (what === "drain") {
      this.drains.push(clusterId);
      await this.holdDrain;
      if (this.refuseDrain !== undefined)
        return { status: this.refuseDrain.status, value: { code: this.refuseDrain.code } };
      this.#ending.add(clusterId);
      this.worldChanged();
      return { status: 204 };
    }
    if (what === "peer-tickets") return this.#grantPeerTicket(clusterId, body);
    if (call.startsWith("DELETE ")) {
      this.deregistered += 1;
      this.lose(clusterId);
      await this.holdDeregister;
      return { status: 204 };
    }
    if (call.endsWith("/heartbeat") && isReport(body)) {
      this.heartbeats.push(body);
      return { status: 200, value: { commands: [this.#ack(body)] } };
    }
    if (call.endsWith("/sessions") && isConsultation(body)) {
      this.consultations.push(body.requests);
      await this.holdSessions;
      if (this.refuseSessions !== undefined) {
        return { status: this.refuseSessions.status, value: { code: this.refuseSessions.code } };
      }
      const answers: SessionAnswer<string>[] = [];
      for (const one of body.requests) answers.push(await this.#consult(clusterId, one));
      return { status: 200, value: { answers } };
    }
    return { status: 404, value: { code: "NOT_FOUND" } };
  }

  /** One step of a player's session; every generation that enters counts as issued. */
  async #consult(clusterId: string, { playerId, message }: SessionRequest<string>): Promise<SessionAnswer<string>> {
    const token = message.type === "commit" ? await this.#signCommit(clusterId, message) : "";
    let state = this.sessions.get(playerId) ?? openSession<string>(playerId);
    if (message.type === "enter") state = { ...state, issued: Math.max(state.issued, message.generation) };
    const step = stepSession(
      state,
      message.type === "commit"
        ? { type: "commit", clusterId, message, token }
        : { type: "request", clusterId, message },
      (text) => text.length,
    );
    this.sessions.set(playerId, step.state);
    this.#tellOthers(clusterId, step.effects);
    const messages = step.effects.flatMap((effect) =>
      effect.type === "toCluster" && effect.clusterId === clusterId ? [effect.message] : [],
    );
    return { playerId, messages };
  }

  /** What sessions say to each other, and to clusters because of it. */
  #tellOthers(asking: string, effects: readonly SessionEffect<string>[]): void {
    for (const effect of effects) {
      if (effect.type === "toCluster") {
        const { message } = effect;
        // Only what is about one player is said to a cluster that has not asked.
        if (effect.clusterId === asking || !("playerId" in message)) continue;
        this.command({ type: "session", playerId: message.playerId, message });
        continue;
      }
      const { playerId, message } = effect;
      const state = this.sessions.get(playerId) ?? openSession<string>(playerId);
      const step = stepSession(state, { type: "member", message });
      this.sessions.set(playerId, step.state);
      this.#tellOthers("", step.effects);
    }
  }

  async #signCommit(
    clusterId: string,
    message: Extract<SessionRequest<string>["message"], { readonly type: "commit" }>,
  ): Promise<string> {
    const [key] = this.#keys;
    if (key === undefined) throw new Error("the fake master has no key");
    const issued = { issuer: this.url, now: Math.floor(Date.now() / 1_000) };
    return signHandoverToken(this.changeCommit(claimsOf(clusterId, message)), issued, key);
  }

  async #register(assertion: string, body: unknown): Promise<{ status: number; value: unknown }> {
    const claimed = claimedClusterIdentity(assertion);
    const publicKey = this.enrolled.get(claimed?.keyId ?? "");
    if (publicKey === undefined) return { status: 403, value: { code: "CLUSTER_KEY_UNKNOWN" } };
    const expected = { masterUrl: this.url, now: Math.floor(Date.now() / 1_000) };
    const verified = await verifyClusterAssertion(assertion, publicKey, expected);
    if (verified === undefined || !isRegisterRequest(body) || body.instance !== verified.instance) {
      return { status: 401, value: { code: "ASSERTION_INVALID" } };
    }
    this.registrations.push(body);
    this.boot += 1;
    this.boots.set(body.instance, this.boot);
    this.#lastInstance = body.instance;
    const clusterId = this.manyClusters ? `default.${body.instance}` : this.clusterId;
    this.#clusters.set(clusterId, { boot: this.boot, request: body });
    this.#ending.delete(clusterId);
    this.worldChanged();
    await this.holdRegister;
    const answer: RegisterResponse = {
      clusterId,
      boot: this.boot,
      sessionToken: this.sessionToken,
      issuer: this.url,
      game: this.game,
      leaseMs: this.leaseMs,
      pingIntervalMs: this.pingIntervalMs,
      reportIntervalMs: this.reportIntervalMs,
      ...(this.takesMail ? { takesMail: true } : {}),
      jwks: this.#published,
    };
    return { status: 200, value: answer };
  }

  #unauthorized(request: IncomingMessage): FakeRefusal | undefined {
    const others = [...this.boots].filter(([instance]) => instance !== this.#lastInstance);
    const good = [this.sessionToken, ...others.map(([, boot]) => `session-${boot}`)];
    return good.includes(bearer(request)) ? undefined : { status: 401, code: "CLUSTER_SESSION_INVALID" };
  }

  #serveLink(link: WebSocket): void {
    this.links.add(link);
    link.on("close", () => this.links.delete(link));
    link.on("message", (data) => {
      const text = Buffer.isBuffer(data) ? data.toString("utf8") : "";
      if (text === "ping") {
        this.pings += 1;
        if (this.answerPings) link.send("pong");
        return;
      }
      const report: unknown = JSON.parse(text);
      if (isTell(report) && this.takesMail) {
        this.tells.push(report);
        if (this.mailOutcome === undefined) return;
        link.send(JSON.stringify({ type: "told", id: report.id, outcome: this.mailOutcome }));
        return;
      }
      if (!isReport(report)) throw new Error("the cluster sent something that is no report");
      this.reports.push(report);
      if (this.acknowledge) link.send(JSON.stringify(this.#ack(report)));
    });
  }

  #ack({ sequence }: LinkReport): object {
    const { reportIntervalMs } = this;
    const world = this.manyClusters ? { worldVersion: this.#worldVersion } : {};
    return { type: "ack", sequence, reportIntervalMs, ...world };
  }

  /** The map of a cluster's world: each fragment is carried by who announced it first, of those who stay if there are any. */
  map(clusterId: string): WorldMapView {
    const world = this.#clusters.get(clusterId)?.request.world?.name ?? "";
    const fragments = new Map<string, WorldMapView["fragments"][number]>();
    const clusters: WorldCluster[] = [];
    const isEnding = (id: string): boolean => this.#ending.has(id);
    const inOrder = [...this.#clusters].toSorted(([a], [b]) => Number(isEnding(a)) - Number(isEnding(b)));
    for (const [id, { boot, request }] of inOrder) {
      const { name, fragments: announced = [], peer } = request.world ?? {};
      if (name !== world) continue;
      for (const area of announced) {
        if (!fragments.has(area.name)) fragments.set(area.name, { ...area, clusterId: id });
      }
      if (!isEnding(id) && ![...fragments.values()].some((area) => area.clusterId === id)) continue;
      clusters.push({ clusterId: id, boot, ...(peer === undefined ? {} : { peer: { ...peer, tls: request.tls } }) });
    }
    return { world, version: this.#worldVersion, fragments: [...fragments.values()], clusters };
  }

  /** A cluster is gone, as far as the others are told. */
  lose(clusterId: string): void {
    if (this.#clusters.delete(clusterId)) this.worldChanged();
  }

  /** A ticket with which `source` may dial `destination`; both as the master knows them, save for what is said of them. */
  async peerTicket(
    source: Partial<ClusterRef>,
    destination: Partial<ClusterRef>,
    changes: { readonly world?: string; readonly now?: number; readonly issuer?: string } = {},
    stranger?: SigningKey,
  ): Promise<string> {
    const signingKey = stranger ?? this.#keys[0];
    if (signingKey === undefined) throw new Error("the fake master has no key");
    const full = ({ clusterId = "", boot }: Partial<ClusterRef>): ClusterRef => ({
      clusterId,
      boot: boot ?? this.#clusters.get(clusterId)?.boot ?? 0,
    });
    const world = this.#clusters.get(destination.clusterId ?? "")?.request.world?.name ?? "";
    const ticket = { world, source: full(source), destination: full(destination) };
    const issued = { issuer: this.url, now: Math.floor(Date.now() / 1_000), ...changes };
    return signPeerTicket({ ...ticket, ...changes }, issued, signingKey);
  }

  async #grantPeerTicket(source: string, body: unknown): Promise<{ status: number; value: unknown }> {
    const destination = typeof body === "object" && body !== null && "clusterId" in body ? String(body.clusterId) : "";
    if (!this.#clusters.has(destination)) return { status: 404, value: { code: "CLUSTER_NOT_FOUND" } };
    const ticket = await this.peerTicket({ clusterId: source }, { clusterId: destination });
    return { status: 200, value: { ticket, expiresAt: Math.floor(Date.now() / 1_000) + 60 } };
  }

  /** The map has another version, and the clusters are told. */
  worldChanged(): void {
    if (!this.manyClusters) return;
    this.#worldVersion += 1;
    this.command({ type: "world", version: this.#worldVersion });
  }
}

function bearer(request: IncomingMessage): string {
  return (request.headers.authorization ?? "").replace(/^Bearer /, "");
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  let text = "";
  request.setEncoding("utf8");
  for await (const chunk of request) text += String(chunk);
  return text === "" ? undefined : JSON.parse(text);
}

function isReport(value: unknown): value is LinkReport {
  return typeof value === "object" && value !== null && "type" in value && value.type === "report";
}

function isConsultation(value: unknown): value is { readonly requests: readonly SessionRequest<string>[] } {
  return typeof value === "object" && value !== null && "requests" in value && Array.isArray(value.requests);
}

function isTell(value: unknown): value is LinkTell {
  return typeof value === "object" && value !== null && "type" in value && value.type === "tell";
}

function isRegisterRequest(value: unknown): value is RegisterRequest {
  return typeof value === "object" && value !== null && "instance" in value && "tls" in value;
}

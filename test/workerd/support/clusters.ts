import { env } from "cloudflare:workers";
import { type CryptoKey, decodeJwt, exportJWK, generateKeyPair } from "jose";
import {
  clusterKeyId,
  type ClusterPublicKey,
  parseClusterPublicKey,
  signClusterAssertion,
} from "../../../auth/cluster-assertion.ts";
import { createClusterId, parseShardMap, shardOfCluster } from "../../../control-plane/domain/clusters/sharding.ts";
import { withDeadline } from "../../../control-plane/objects/deadline.ts";
import { readStoreSettings } from "../../../control-plane/settings.ts";
import { enrolClusterKey } from "../../../control-plane/store/cluster-keys.ts";
import type {
  HeartbeatResponse,
  LinkCommand,
  LinkKeys,
  LinkReport,
  RegisterRequest,
  RegisterResponse,
  SeatRef,
} from "../../../protocol/index.ts";
import { call, expectJson, masterUrl } from "./master.ts";

export interface TestKey {
  readonly privateKey: CryptoKey;
  readonly publicKey: ClusterPublicKey;
  readonly keyId: string;
}

export async function createKey(): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKeyPair("Ed25519", { extractable: true });
  const parsed = parseClusterPublicKey(await exportJWK(publicKey));
  if (parsed === undefined) throw new Error("a new key parses");
  return { privateKey, publicKey: parsed, keyId: await clusterKeyId(parsed) };
}

export async function enrolledKey(): Promise<TestKey> {
  const key = await createKey();
  await enrolClusterKey(readStoreSettings(env), { name: "test", publicKey: key.publicKey });
  return key;
}

export async function assertionOf(key: TestKey, instance: string, audience = masterUrl): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  return signClusterAssertion({ key: key.privateKey, keyId: key.keyId, instance, masterUrl: audience, now });
}

export function registration(changes: Partial<RegisterRequest> = {}): RegisterRequest {
  return {
    instance: "main",
    name: "Test cluster",
    region: "default",
    host: "127.0.0.1",
    port: 6257,
    tls: {
      serverName: "c.sustenet.test",
      caPem: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
      sha256: "ab".repeat(32),
    },
    capacity: 0,
    protocol: { min: 1, max: 1 },
    tags: ["test"],
    software: "sustenet-cluster/test",
    ...changes,
  };
}

/** A cluster process, as far as the master sees it. */
export class TestCluster {
  readonly key: TestKey;
  readonly details: RegisterRequest;
  readonly registered: RegisterResponse;
  #sequence = 0;

  constructor(key: TestKey, details: RegisterRequest, registered: RegisterResponse) {
    this.key = key;
    this.details = details;
    this.registered = registered;
  }

  get id(): string {
    return this.registered.clusterId;
  }

  get token(): string {
    return this.registered.sessionToken;
  }

  nextReport(changes: Partial<LinkReport> = {}): LinkReport {
    this.#sequence += 1;
    return { type: "report", sequence: this.#sequence, full: false, players: 0, joined: [], left: [], ...changes };
  }

  /** Reports over HTTPS and returns the commands, save word of the key set: that is for those tests which are about it. */
  async report(changes: Partial<LinkReport> = {}): Promise<readonly LinkCommand[]> {
    return (await this.commandsAfter(changes)).filter(({ type }) => type !== "keys");
  }

  /** Reports over HTTPS and returns all commands. */
  async commandsAfter(changes: Partial<LinkReport> = {}): Promise<readonly LinkCommand[]> {
    const body = this.nextReport(changes);
    const response = await call("POST", `/v1/clusters/${this.id}/heartbeat`, { token: this.token, body });
    return (await expectJson<HeartbeatResponse>(response, 200)).commands;
  }

  async openLink(): Promise<TestLink> {
    const response = await this.requestLink();
    if (response.webSocket === null) throw new Error(`no link: status ${response.status}, ${await response.text()}`);
    return new TestLink(response.webSocket);
  }

  async requestLink(): Promise<Response> {
    return call("GET", `/v1/clusters/${this.id}/link`, { token: this.token, headers: { upgrade: "websocket" } });
  }
}

/** Registers a process; with a new enrolled key unless given one. */
export async function startCluster(
  changes: Partial<RegisterRequest> = {},
  key?: TestKey,
  audience = masterUrl,
): Promise<TestCluster> {
  const used = key ?? (await enrolledKey());
  const details = registration(changes);
  for (let triesLeft = 40; ; triesLeft -= 1) {
    const response = await requestRegistration(details, await assertionOf(used, details.instance, audience));
    if (triesLeft === 0 || !(await isDatabaseAway(response))) {
      return new TestCluster(used, details, await expectJson(response, 200));
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Whether to come again, as a cluster does: on a busy machine the database may take longer to look a key up than a shard waits. */
export async function isDatabaseAway(answer: Response): Promise<boolean> {
  return answer.status === 503 && (await answer.clone().text()).includes('"DATABASE_UNAVAILABLE"');
}

/** The shards of the tests' map, in two regions. */
export const testShards = ["default.0", "eu.0", "eu.1"] as const;

/** A cluster that registers at this very shard. */
export async function startOn(
  shard: (typeof testShards)[number],
  changes: Partial<RegisterRequest> = {},
): Promise<TestCluster> {
  const map = parseShardMap(env.SHARDS);
  if (map === undefined) throw new Error("the tests have a shard map");
  const region = shard.slice(0, shard.indexOf("."));
  const key = await enrolledKey();
  for (let index = 0; ; index += 1) {
    const instance = `i${index}`;
    const clusterId = await createClusterId(region, key.keyId, instance);
    if (shardOfCluster(map, clusterId) === shard) return startCluster({ ...changes, region, instance }, key);
  }
}

export async function requestRegistration(body: unknown, assertion: string): Promise<Response> {
  return call("POST", "/v1/clusters/register", { token: assertion, body });
}

export type LinkEvent = { readonly text: string } | { readonly closed: number };

/** The cluster's end of a link. */
export class TestLink {
  readonly #socket: WebSocket;
  readonly #events: LinkEvent[] = [];
  #closeReason: string | undefined;
  #wake = Promise.withResolvers<void>();

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) =>
      this.#push({ text: typeof data === "string" ? data : "(binary)" }),
    );
    socket.addEventListener("close", ({ code, reason }) => {
      this.#closeReason = reason;
      this.#push({ closed: code });
    });
    socket.accept();
  }

  /** What the master closed it with, once it has. */
  get closeReason(): string | undefined {
    return this.#closeReason;
  }

  send(message: string | object): void {
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  close(): void {
    this.#socket.close(1000, "done");
  }

  /** Ends as a process does that is killed, as far as that can be done from here: without the words of a goodbye. */
  break(): void {
    this.#socket.close(3000);
  }

  /** The next thing that the master sends, save word of the key set, or that the link has been closed. */
  async next(): Promise<LinkEvent> {
    for (;;) {
      const event = await this.#any();
      if (keysIn(event) === undefined) return event;
    }
  }

  async nextCommand(): Promise<LinkCommand> {
    const event = await this.next();
    if (!("text" in event)) throw new Error(`the link was closed with ${event.closed}`);
    const command: LinkCommand = JSON.parse(event.text);
    return command;
  }

  /** The next word of the key set; all else is passed over. */
  async nextKeys(): Promise<LinkKeys> {
    for (;;) {
      const keys = keysIn(await this.#any());
      if (keys !== undefined) return keys;
    }
  }

  async #any(): Promise<LinkEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      await withDeadline(this.#wake.promise, 30_000, "the next event of the link");
    }
  }

  #push(event: LinkEvent): void {
    this.#events.push(event);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

function keysIn(event: LinkEvent): LinkKeys | undefined {
  if (!("text" in event) || !event.text.startsWith("{")) return undefined;
  const command: LinkCommand = JSON.parse(event.text);
  return command.type === "keys" ? command : undefined;
}

/** How a cluster names the use of a ticket. */
export function seatOf(player: { readonly id: string }, ticket: string): SeatRef {
  const claims: { rsv?: string; gen?: number } = decodeJwt(ticket);
  const { rsv: reservationId, gen: generation } = claims;
  if (reservationId === undefined || generation === undefined) throw new Error("a ticket has its claims");
  return { reservationId, playerId: player.id, generation };
}

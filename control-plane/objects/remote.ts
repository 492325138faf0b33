import type { AuditLog } from "./operators/audit-log.ts";
import type { ClusterKeyRecord } from "./key/cluster-key-record.ts";
import type { ClusterOrderBook } from "./operators/cluster-order-book.ts";
import type { EventHub } from "./operators/event-hub.ts";
import type { KeyRing } from "./key/key-ring.ts";
import type { Party } from "./party/party.ts";
import type { PlayerSession } from "./player/player-session.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import type { RecordKeeper } from "./records/record-keeper.ts";
import type { RegistryShard } from "./shard/registry-shard.ts";
import type { WaitingRoom } from "./waiting/waiting-room.ts";
import type { WorldMap } from "./world/world-map.ts";

/** An object's methods as they are seen from outside: every one takes a while. Answers are plain data. */
type Remote<T, Names extends keyof T> = {
  readonly [Name in Names]: T[Name] extends (...args: infer Args) => infer Answer
    ? (...args: Args) => Promise<Awaited<Answer>>
    : never;
};

type RemoteShard = Remote<
  RegistryShard,
  | "register"
  | "useAssertion"
  | "displace"
  | "reserve"
  | "holds"
  | "attend"
  | "hold"
  | "release"
  | "withdraw"
  | "giveBack"
  | "fence"
  | "revoke"
  | "revocationsOf"
  | "keysChanged"
  | "listing"
  | "digest"
  | "gauges"
  | "admitRegion"
  | "hasClusters"
  | "heartbeat"
  | "drain"
  | "deregister"
  | "worldChanged"
  | "worldOf"
  | "mayConsult"
  | "tell"
  | "takeOrders"
  | "revokeKey"
  | "handMail"
  | "inspect"
  | "inspectOne"
  | "summary"
> & { readonly fetch: (address: string, init: RequestInit) => Promise<Response> };

type RemoteSession = Remote<
  PlayerSession,
  | "allocate"
  | "cancel"
  | "ticketUsed"
  | "takeMail"
  | "exportData"
  | "erase"
  | "inspect"
  | "createParty"
  | "joinParty"
  | "useParty"
  | "revoke"
  | "signOutTold"
  | "unban"
  | "standing"
  | "consult"
  | "hearMember"
>;

type RemoteRing = Remote<KeyRing, "signingKey" | "publishedKeys" | "listing" | "rotate" | "revoke" | "restore">;

/** The registry shard of that name, as `domain/sharding.ts` makes them. */
export function registryShard(env: Env, name: string): RemoteShard {
  return env.REGISTRY_SHARD.getByName(name);
}

/** The session of a player, whether there is one yet or not. */
export function playerSession(env: Env, playerId: string): RemoteSession {
  return env.PLAYER_SESSION.getByName(playerId);
}

/** The limiter of one subject; `name` is a hash of who that is. */
export function rateLimiter(env: Env, name: string): Remote<RateLimiter, "attempt"> {
  return env.RATE_LIMITER.getByName(name);
}

const recordKeepers = 4;

/** The record keeper of a player. Few, so that each has much to write at once; more than one, so that none is everybody's. */
export function recordKeeper(env: Env, playerId: string): Remote<RecordKeeper, "keep" | "backlog"> {
  return env.RECORD_KEEPER.getByName(
    recordKeeperName(new TextEncoder().encode(playerId).reduce((sum, byte) => sum + byte, 0)),
  );
}

/** All of them. */
export function allRecordKeepers(env: Env): readonly Remote<RecordKeeper, "keep" | "backlog">[] {
  return Array.from({ length: recordKeepers }, (_, index) => env.RECORD_KEEPER.getByName(recordKeeperName(index)));
}

function recordKeeperName(number: number): string {
  return `keeper.${number % recordKeepers}`;
}

/** The map of a world. */
export function worldMap(
  env: Env,
  name: string,
): Remote<WorldMap, "announce" | "withdraw" | "leave" | "noteStanding" | "assign" | "map" | "overview"> {
  return env.WORLD_MAP.getByName(name);
}

/** A party, by its id. Ids that come from outside are checked before: each name that is asked becomes an object. */
export function partyObject(
  env: Env,
  id: string,
): Remote<Party, "create" | "view" | "join" | "leave" | "disband" | "giveUp" | "allocate" | "claim"> {
  return env.PARTY.getByName(id);
}

/** The waiting room of one queue, by its name. */
export function waitingRoom(env: Env, queue: string): Remote<WaitingRoom, "visit" | "leave"> {
  return env.WAITING_ROOM.getByName(queue);
}

/** The one key ring of this master. */
export function keyRing(env: Env): RemoteRing {
  return env.KEY_RING.getByName("ring");
}

/** The one audit log of this master. */
export function auditLog(env: Env): Remote<AuditLog, "append" | "head" | "pending" | "page"> {
  return env.AUDIT_LOG.getByName("log");
}

/** What operators have ordered of a cluster. */
export function clusterOrderBook(
  env: Env,
  clusterId: string,
): Remote<ClusterOrderBook, "current" | "change" | "drainEnded"> {
  return env.CLUSTER_ORDER_BOOK.getByName(clusterId);
}

/** Whether, and when, a cluster key ends. */
export function clusterKeyRecord(env: Env, keyId: string): Remote<ClusterKeyRecord, "isRevoked" | "revoke" | "retire"> {
  return env.CLUSTER_KEY_RECORD.getByName(keyId);
}

/** Where operators watch what happens. */
export function eventHub(env: Env): Remote<EventHub, "publish"> & Pick<RemoteShard, "fetch"> {
  return env.EVENT_HUB.getByName("hub");
}

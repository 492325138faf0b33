import { createApp } from "./http/app.ts";

export { AuditLog } from "./objects/operators/audit-log.ts";
export { ClusterKeyRecord } from "./objects/key/cluster-key-record.ts";
export { ClusterOrderBook } from "./objects/operators/cluster-order-book.ts";
export { EventHub } from "./objects/operators/event-hub.ts";
export { KeyRing } from "./objects/key/key-ring.ts";
export { Party } from "./objects/party/party.ts";
export { PlayerSession } from "./objects/player/player-session.ts";
export { RateLimiter } from "./objects/rate-limiter.ts";
export { MetricsKeeper } from "./objects/metrics/metrics-keeper.ts";
export { RecordKeeper } from "./objects/records/record-keeper.ts";
export { RegistryShard } from "./objects/shard/registry-shard.ts";
export { WaitingRoom } from "./objects/waiting/waiting-room.ts";
export { WorldMap } from "./objects/world/world-map.ts";

const app = createApp();

export default {
  fetch: (request, env, context) => app.fetch(request, env, context),
} satisfies ExportedHandler<Env>;

import { createApp } from "./http/app.ts";

export { AuditLog } from "./objects/audit-log.ts";
export { ClusterKeyRecord } from "./objects/cluster-key-record.ts";
export { ClusterOrderBook } from "./objects/cluster-order-book.ts";
export { EventHub } from "./objects/event-hub.ts";
export { KeyRing } from "./objects/key-ring.ts";
export { Party } from "./objects/party.ts";
export { PlayerSession } from "./objects/player-session.ts";
export { RateLimiter } from "./objects/rate-limiter.ts";
export { MetricsKeeper } from "./objects/metrics-keeper.ts";
export { RecordKeeper } from "./objects/record-keeper.ts";
export { RegistryShard } from "./objects/registry-shard.ts";
export { WaitingRoom } from "./objects/waiting-room.ts";
export { WorldMap } from "./objects/world-map.ts";

const app = createApp();

export default {
  fetch: (request, env, context) => app.fetch(request, env, context),
} satisfies ExportedHandler<Env>;

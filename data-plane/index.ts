/** Runs a cluster: a game server with your plugin in it. */
export { createCluster } from "./cluster.ts";
export type { ClusterAddress, ClusterOptions, ClusterServer } from "./cluster-server.ts";
export { exitCodes } from "./exit-codes.ts";
export type { SaveOutcome } from "./authority/save-line.ts";
export { ConfigError } from "./config/config-error.ts";
export { type ClusterSettings, loadSettings, type SettingSources } from "./config/settings.ts";
export type { CarryChange } from "./fragments/carry-change.ts";
export { createClusterKey, type CreatedClusterKey } from "./keys/cluster-key.ts";
export { KeyError, type KeyErrorCode } from "./keys/key-error.ts";
export { type ClusterLimits } from "./limits.ts";
export { createLogger, type Logger, type LogLevel, type ProcessLogger } from "./log.ts";
export type { LinkPace } from "./master-link/master-link.ts";
export type { ConnectionState, MetricsSnapshot } from "./metrics.ts";
export { ListenError } from "./net/gate.ts";
export type {
  Entity,
  EntityFields,
  FieldKind,
  FieldValues,
  FragmentView,
  Point,
  ThresholdChange,
} from "./plugin/entities.ts";
export type { LeaveReason, Placement, Player, RequestOptions, TeleportOutcome } from "./plugin/player.ts";
export type { Mail } from "./plugin/mail.ts";
export { Memory } from "./plugin/memory.ts";
export type { PluginTimer } from "./plugin/plugin-timers.ts";
export type { Cluster, LogEntry, Newcomer, ServerPlugin } from "./plugin/server-plugin.ts";
export {
  defineMessage,
  MessageTable,
  type MessageFields,
  type MessageValues,
  type TypedMessage,
} from "./plugin/typed-message.ts";
export type { PluginStorage } from "./storage/cluster-storage.ts";
export { StorageError } from "./storage/storage-file.ts";
export { start, type StartOptions } from "./start.ts";
export {
  ByteReader,
  ByteWriter,
  type CloseCode,
  type MailOutcome,
  ProtocolError,
  RequestError,
  type RequestErrorCode,
} from "../protocol/index.ts";

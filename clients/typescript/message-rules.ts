import { type ClusterMessage, features } from "../../protocol/index.ts";

/** The feature that has to be in force for a message. */
export const featureOf: ReadonlyMap<ClusterMessage["type"], number> = new Map<ClusterMessage["type"], number>([
  ["state", features.state],
  ["request", features.requests],
  ["response", features.requests],
  ["cancel", features.requests],
  ["ack", features.resume],
  ["resumeToken", features.resume],
  ["kinds", features.world],
  ["entities", features.world],
  ["fragment", features.world],
  ["redirect", features.handover],
  ["stay", features.handover],
  ["ahead", features.ahead],
  ["streams", features.handover],
]);

/** What tells that the game goes on. */
export const news: ReadonlySet<ClusterMessage["type"]> = new Set<ClusterMessage["type"]>([
  "message",
  "state",
  "request",
  "response",
  "cancel",
  "ack",
  "position",
  "kinds",
  "entities",
  "fragment",
]);

/** What is heard after REDIRECT. */
export const afterRedirect: ReadonlySet<ClusterMessage["type"]> = new Set<ClusterMessage["type"]>([
  "redirect",
  "stay",
  "ping",
  "pong",
  "close",
  // Never right, and to be refused as ever.
  "welcome",
  "resumed",
  "reject",
  "streams",
]);

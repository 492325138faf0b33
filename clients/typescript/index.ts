/** The Sustenet client library for Node: the only face that there is. One for browsers would differ in its transport alone. */
import { type ClientOptions, SustenetClient } from "./client.ts";
import { nodeTlsTransport } from "./node-tls.ts";

/**
 * A client for one player at one master.
 *
 * @throws SustenetError `INVALID_ARGUMENT`
 */
export function createClient(options: ClientOptions): SustenetClient {
  return new SustenetClient({ ...options, transport: options.transport ?? nodeTlsTransport });
}

export type { ClientAllocation } from "./allocation.ts";
export type { WaitingProgress, WaitOptions } from "./asking.ts";
export { type Clock, systemClock } from "./clock.ts";
export type { CallOptions, ClientOptions, Credentials, Deadlines, NewAccount, SustenetClient } from "./client.ts";
export type { CloseEvent } from "./close-event.ts";
export type { RejoinAttempt, RejoinPolicy } from "./entrance.ts";
export { type ErrorAdvice, type ErrorOrigin, type LocalCode, SustenetError, type SustenetErrorCode } from "./error.ts";
export type { GameSession } from "./game-session.ts";
export type { Fetch } from "./master-http.ts";
export type { Parties } from "./parties.ts";
export { nodeTlsTransport } from "./node-tls.ts";
export type { GameMessage, Placement, SessionEvents } from "./session-events.ts";
export type { ClusterAddress, Transport, TransportConnection, TransportHandlers } from "./transport.ts";
export type { Pose } from "./track.ts";
export type { WorldEntity } from "./world-entity.ts";
export type { WorldEvents, WorldView } from "./world-view.ts";
export type {
  AllocateRequest,
  Allocation,
  ClusterListing,
  CreateParty,
  Fragment,
  PartyHeld,
  PartyView,
  PlayerIdentity,
  PlayerSessionTokens,
  RequestAnswer,
  RequestHandler,
  Welcome,
} from "../../protocol/index.ts";

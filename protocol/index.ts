/** The game protocol: frames, messages, limits and codes. Imports nothing, runs anywhere. */
export { ByteReader, ByteWriter, decodeUtf8, encodeUtf8 } from "./bytes.ts";
export { type CloseCode, closeCodeAdvice, closeCodeName, closeCodes, type CodeAdvice, isCloseCode } from "./codes.ts";
export { type ClientMessage, type ClusterMessage, decodeClientMessage, decodeClusterMessage } from "./decode.ts";
export { KindTable } from "./entities/kind-table.ts";
export { EntityView, type SeenEntity, type ViewListener } from "./entities/view.ts";
export { type EntityKind, type FieldSpec, type FieldType, maskBits, type NumberType } from "./entities/wire.ts";
export { ProtocolError, type ProtocolErrorCode } from "./error.ts";
export { frameHeaderBytes, FrameParser } from "./frame.ts";
export { fromHexDigits, toHexDigits } from "./hex-digits.ts";
export { limits } from "./limits.ts";
export { isLoopbackHost } from "./loopback.ts";
export { type Arrive, encodeArrive, encodeStreams, type Streams } from "./messages/arrive.ts";
export { type Close, encodeClose, encodeReject, type Reject } from "./messages/farewell.ts";
export { encodeEntities, type Entities } from "./messages/entities.ts";
export { encodeFragment, type Fragment } from "./messages/fragment.ts";
export { encodeHello, type Hello } from "./messages/hello.ts";
export { encodeJoin, type Join } from "./messages/join.ts";
export { encodeKinds, type Kinds } from "./messages/kinds.ts";
export { encodeMessage, type Message } from "./messages/message.ts";
export { decodeMove, encodeMove, encodePosition, type Move, type Position } from "./messages/move.ts";
export { encodePing, encodePong, type Ping, type Pong } from "./messages/ping.ts";
export {
  type Cancel,
  encodeCancel,
  encodeRequest,
  encodeResponse,
  type Request,
  type Response,
  responseStatuses,
} from "./messages/request.ts";
export {
  type Ack,
  encodeAck,
  encodeResume,
  encodeResumed,
  encodeResumeToken,
  type Resume,
  type Resumed,
  type ResumeToken,
} from "./messages/resume.ts";
export { encodeClusterAddress, type RedirectCluster } from "./messages/cluster-address.ts";
export { type Ahead, encodeAhead, encodeRedirect, encodeStay, type Redirect, type Stay } from "./messages/redirect.ts";
export { encodeState, type State } from "./messages/state.ts";
export {
  IncomingRequests,
  type IncomingRequestsOptions,
  type RequestAnswer,
  type RequestHandler,
} from "./incoming-requests.ts";
export { isNumbered, NumberedStreams, type NumberedStreamsData, type ReplayBounds } from "./numbered-streams.ts";
export { type After, OutgoingRequests, type OutgoingRequestsOptions } from "./outgoing-requests.ts";
export { Rate } from "./rate.ts";
export { RequestError, type RequestErrorCode } from "./request-error.ts";
export { encodeWelcome, type Welcome } from "./messages/welcome.ts";
export { allFeatures, features, type MessageName, messageTypes, versions } from "./types.ts";
export {
  allocationPolicies,
  candidateReasons,
  maxAvoidedClusters,
  maxExplainedCandidates,
  maxDrainMs,
  maxFragmentsPerCluster,
  partyStates,
  shardOutcomes,
} from "./http.ts";
export type * from "./http.ts";
export {
  type HeartbeatResponse,
  isCounterName,
  type LinkAck,
  type LinkCancel,
  linkCloseCodes,
  type LinkCommand,
  type LinkFence,
  type LinkKeys,
  type LinkLater,
  type LinkReach,
  type LinkOrders,
  type LinkReport,
  type LinkRevoke,
  type LinkSessionMessage,
  type LinkWorld,
  maxCounters,
  maxReportSeats,
  maxReservationIdLength,
  maxRevokedPlayers,
  type ReachFault,
  reachFaults,
  revocationCloseCodes,
  type RevocationReason,
  revocationReasons,
  type RevokedPlayer,
  type ReportPart,
  type SeatRef,
} from "./link.ts";
export {
  type LinkMail,
  type LinkMessage,
  type LinkTell,
  type LinkTold,
  type MailOutcome,
  mailOutcomes,
  mailsPerSecond,
  maxMailBurst,
  maxMailBytes,
} from "./mail.ts";
export {
  type BanNotice,
  type FenceReason,
  fenceReasons,
  type Problem,
  type ProblemAdvice,
  type ProblemCode,
  problems,
} from "./problems.ts";

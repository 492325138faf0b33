import { ByteReader } from "./bytes.ts";
import { ProtocolError } from "./error.ts";
import { type Arrive, decodeArrive, decodeStreams, type Streams } from "./messages/arrive.ts";
import { type Close, decodeClose, decodeReject, type Reject } from "./messages/farewell.ts";
import { decodeEntities, type Entities } from "./messages/entities.ts";
import { decodeFragment, type Fragment } from "./messages/fragment.ts";
import { decodeHello, type Hello } from "./messages/hello.ts";
import { decodeJoin, type Join } from "./messages/join.ts";
import { decodeKinds, type Kinds } from "./messages/kinds.ts";
import { decodeMessage, type Message } from "./messages/message.ts";
import { decodeMove, decodePosition, type Move, type Position } from "./messages/move.ts";
import { decodePing, decodePong, type Ping, type Pong } from "./messages/ping.ts";
import { type Ahead, decodeAhead, decodeRedirect, decodeStay, type Redirect, type Stay } from "./messages/redirect.ts";
import { decodeWelcome, type Welcome } from "./messages/welcome.ts";
import {
  type Cancel,
  decodeCancel,
  decodeRequest,
  decodeResponse,
  type Request,
  type Response,
} from "./messages/request.ts";
import {
  type Ack,
  decodeAck,
  decodeResume,
  decodeResumed,
  decodeResumeToken,
  type Resume,
  type Resumed,
  type ResumeToken,
} from "./messages/resume.ts";
import { decodeState, type State } from "./messages/state.ts";
import { messageTypes } from "./types.ts";

/** What a client may send. */
export type ClientMessage =
  | Hello
  | Join
  | Resume
  | Arrive
  | Move
  | Message
  | Request
  | Response
  | Cancel
  | Ack
  | Ping
  | Pong
  | Close;

/** What a cluster may send. */
export type ClusterMessage =
  | Welcome
  | Reject
  | Resumed
  | ResumeToken
  | Redirect
  | Stay
  | Ahead
  | Streams
  | Position
  | Kinds
  | Entities
  | Fragment
  | Message
  | State
  | Request
  | Response
  | Cancel
  | Ack
  | Ping
  | Pong
  | Close;

type Decoders<M> = ReadonlyMap<number, (reader: ByteReader) => M>;

const fromClient: Decoders<ClientMessage> = new Map<number, (reader: ByteReader) => ClientMessage>([
  [messageTypes.hello, decodeHello],
  [messageTypes.join, decodeJoin],
  [messageTypes.resume, decodeResume],
  [messageTypes.arrive, decodeArrive],
  [messageTypes.move, decodeMove],
  [messageTypes.message, decodeMessage],
  [messageTypes.request, decodeRequest],
  [messageTypes.response, decodeResponse],
  [messageTypes.cancel, decodeCancel],
  [messageTypes.ack, decodeAck],
  [messageTypes.ping, decodePing],
  [messageTypes.pong, decodePong],
  [messageTypes.close, decodeClose],
]);

const fromCluster: Decoders<ClusterMessage> = new Map<number, (reader: ByteReader) => ClusterMessage>([
  [messageTypes.welcome, decodeWelcome],
  [messageTypes.reject, decodeReject],
  [messageTypes.resumed, decodeResumed],
  [messageTypes.resumeToken, decodeResumeToken],
  [messageTypes.redirect, decodeRedirect],
  [messageTypes.stay, decodeStay],
  [messageTypes.ahead, decodeAhead],
  [messageTypes.streams, decodeStreams],
  [messageTypes.position, decodePosition],
  [messageTypes.kinds, decodeKinds],
  [messageTypes.entities, decodeEntities],
  [messageTypes.fragment, decodeFragment],
  [messageTypes.message, decodeMessage],
  [messageTypes.state, decodeState],
  [messageTypes.request, decodeRequest],
  [messageTypes.response, decodeResponse],
  [messageTypes.cancel, decodeCancel],
  [messageTypes.ack, decodeAck],
  [messageTypes.ping, decodePing],
  [messageTypes.pong, decodePong],
  [messageTypes.close, decodeClose],
]);

/**
 * Decodes a frame (type and body) that a client sent.
 *
 * @throws ProtocolError with the code that says what is malformed. [FRAME-4] [FRAME-5]
 */
export function decodeClientMessage(frame: Uint8Array): ClientMessage {
  return decode(fromClient, frame);
}

/**
 * Decodes a frame (type and body) that a cluster sent.
 *
 * @throws ProtocolError with the code that says what is malformed. [FRAME-4] [FRAME-5]
 */
export function decodeClusterMessage(frame: Uint8Array): ClusterMessage {
  return decode(fromCluster, frame);
}

function decode<M>(decoders: Decoders<M>, frame: Uint8Array): M {
  const reader = new ByteReader(frame);
  const type = reader.u8();
  const decoder = decoders.get(type);
  if (decoder === undefined) {
    throw new ProtocolError("UNKNOWN_TYPE", `no message of type ${type} in this direction`);
  }
  return decoder(reader);
}

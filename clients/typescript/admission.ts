import {
  type ClusterMessage,
  encodeArrive,
  encodeHello,
  encodeJoin,
  encodeResume,
  features,
  ProtocolError,
  type Redirect,
  type Resumed,
  type ResumeToken,
  type Streams,
  versions,
  type Welcome,
} from "../../protocol/index.ts";
import type { SessionMemory } from "./session-memory.ts";

/** With what to get in. */
export type Admittance =
  /** `earlier`: a session that went before, whose streams may go on. */
  | { readonly type: "join"; readonly ticket: string; readonly earlier?: SessionMemory | undefined }
  | { readonly type: "resume"; readonly memory: SessionMemory }
  | { readonly type: "arrive"; readonly memory: SessionMemory; readonly redirect: Redirect };

/** What it came to. */
export type Admitted =
  | {
      readonly type: "joined";
      /** What the cluster said, where it is another session or another cluster. */
      readonly welcome: Welcome | undefined;
      /** From where the streams go on; `undefined` at clusters that do not hand players over. */
      readonly streams: Streams | undefined;
      readonly resumed: Resumed | undefined;
      readonly token: ResumeToken | undefined;
    }
  | { readonly type: "redirect"; readonly redirect: Redirect };

/**
 * The order in which a cluster answers JOIN, RESUME or ARRIVE, held to. Nothing is taken over before the last of it has come.
 * Spec: docs/PROTOCOL.md, sections 5.3, 5.10 and 5.12.
 */
export class Admission {
  readonly #admittance: Admittance;
  readonly #offered: number;
  #welcome: Welcome | undefined;
  #resumed: Resumed | undefined;
  #streams: Streams | undefined;

  constructor(admittance: Admittance, offered: number) {
    this.#admittance = admittance;
    this.#offered = offered;
  }

  /** HELLO, and what follows it at once. [JOIN-1] */
  frames(client: string): readonly Uint8Array[] {
    const hello = encodeHello({ minVersion: versions.min, maxVersion: versions.max, features: this.#offered, client });
    return [hello, this.#second()];
  }

  /**
   * An answer, but for REJECT; `undefined` while more has to come.
   *
   * @throws ProtocolError for what must not come now
   */
  take(message: ClusterMessage): Admitted | undefined {
    const { type } = this.#admittance;
    if (message.type === "welcome" && type !== "resume" && this.#welcome === undefined) {
      this.#welcome = checkWelcome(message, this.#offered);
      if (type === "arrive") checkArrival(message);
      return this.#needsStreams ? undefined : this.#joined();
    }
    if (message.type === "resumed" && type === "resume" && this.#resumed === undefined) {
      this.#resumed = message;
      return undefined;
    }
    if (message.type === "streams" && this.#needsStreams && this.#streams === undefined) {
      this.#streams = this.#checkStreams(message);
      return type === "join" ? this.#joined() : undefined;
    }
    if (message.type === "resumeToken" && type !== "join" && this.#isAnswered) return this.#joined(message);
    if (message.type === "redirect" && this.#maySendOn) return { type: "redirect", redirect: message };
    throw new ProtocolError("UNEXPECTED_TYPE", `${message.type} before WELCOME`);
  }

  /** [REDIRECT-2] */
  get #maySendOn(): boolean {
    return this.#isFirst && this.#admittance.type !== "join" && this.#admittance.memory.canMove;
  }

  get #isFirst(): boolean {
    return this.#welcome === undefined && this.#resumed === undefined;
  }

  /** Whether STREAMS belongs to what has been answered so far. [STREAMS-2] */
  get #needsStreams(): boolean {
    if (this.#admittance.type === "resume") return this.#resumed !== undefined && this.#admittance.memory.canMove;
    return ((this.#welcome?.features ?? 0) & features.handover) !== 0;
  }

  get #isAnswered(): boolean {
    return !this.#isFirst && this.#needsStreams === (this.#streams !== undefined);
  }

  #second(): Uint8Array {
    const admittance = this.#admittance;
    if (admittance.type === "join") {
      return encodeJoin({ ticket: admittance.ticket, position: admittance.earlier?.position });
    }
    const { token, streams, position } = admittance.memory;
    if (admittance.type === "arrive") {
      if (position === undefined) throw new Error("nothing to arrive with");
      const { id, key, token: word } = admittance.redirect;
      return encodeArrive({ id, key, position, token: word });
    }
    if (token === undefined || streams === undefined) throw new Error("nothing to resume with");
    return encodeResume({ received: streams.report(), token: token.bytes });
  }

  #checkStreams(streams: Streams): Streams {
    const { type } = this.#admittance;
    const mayBegin = type === "join";
    const mayGoOn = type !== "join" || this.#admittance.earlier?.position !== undefined;
    const agrees = this.#resumed === undefined || this.#resumed.received === streams.received >>> 0;
    const isNewer = this.#admittance.type !== "arrive" || streams.tenure > this.#admittance.memory.tenure; // [ARRIVE-8]
    if ((streams.fresh ? mayBegin : mayGoOn) && agrees && isNewer) return streams;
    throw new ProtocolError("BAD_VALUE", "STREAMS does not fit what it answers");
  }

  #joined(token?: ResumeToken): Admitted {
    return { type: "joined", welcome: this.#welcome, streams: this.#streams, resumed: this.#resumed, token };
  }
}

/** [ARRIVE-8] */
function checkArrival(welcome: Welcome): void {
  if ((welcome.features & features.handover) === 0) {
    throw new ProtocolError("BAD_VALUE", "WELCOME has no HANDOVER for who was handed over");
  }
}

function checkWelcome(welcome: Welcome, offered: number): Welcome {
  if (welcome.version < versions.min || welcome.version > versions.max) {
    throw new ProtocolError("BAD_VALUE", "WELCOME has a version that was not offered"); // [HELLO-3]
  }
  if ((welcome.features & ~offered) !== 0) {
    throw new ProtocolError("BAD_VALUE", "WELCOME has features that were not offered"); // [HELLO-4]
  }
  const { ahead, handover, resume } = features;
  if ((welcome.features & (handover | resume)) === handover) {
    throw new ProtocolError("BAD_VALUE", "WELCOME has HANDOVER without RESUME"); // [ARRIVE-2]
  }
  if ((welcome.features & (handover | ahead)) === ahead) {
    throw new ProtocolError("BAD_VALUE", "WELCOME has AHEAD without HANDOVER"); // [AHEAD-1]
  }
  return welcome;
}

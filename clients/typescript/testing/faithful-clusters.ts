import {
  type Arrive,
  type ClientMessage,
  encodeAck,
  encodeAhead,
  encodeMessage,
  encodePong,
  encodeRedirect,
  encodeReject,
  encodeResumed,
  encodeResumeToken,
  encodeStay,
  encodeStreams,
  encodeWelcome,
  type Join,
  NumberedStreams,
  type Redirect,
  type Resume,
} from "../../../protocol/index.ts";
import { type MemoryLink, MemoryTransport } from "./memory-transport.ts";
import { sampleWelcome } from "./scripted-cluster.ts";
import { clusterNamed, worldless } from "./travelling-session.ts";

const sessionStep = 2 ** 20;
const bounds = { maxFrames: 4_096, maxBytes: 2 ** 20 };

/** A session as the clusters know it: from JOIN to the next JOIN. What is said is a number, in the order in which it was said. */
export interface Life {
  readonly said: number[];
  readonly applied: number[];
}

/** A handover that was decided. */
interface Move {
  readonly redirect: Omit<Redirect, "type">;
  readonly from: string;
  readonly to: string;
  readonly tenureBefore: number;
  readonly tenure: number;
  /** The destination has the player in the game: it cannot be taken back any more. */
  active: boolean;
  /** Until the client was heard over its new connection. */
  isKeyGood: boolean;
}

/** The clusters' end of a connection. */
export interface Line {
  readonly link: MemoryLink;
  readonly cluster: string;
  /** Said to the client, and on its way. */
  readonly coming: Uint8Array[];
  /** How many of the client's messages have come. */
  taken: number;
  /** The number of the last input, once it is in service; and for whose tenure it is. */
  input: number | undefined;
  tenure: number;
  isCut: boolean;
}

/**
 * Clusters that keep to docs/HANDOVER.md, as the client of one player sees them: who has the player is one state that all of them share. Nothing
 * comes or goes but by {@link deliver} and {@link absorb}, so that a test decides what comes first, and what not at all.
 */
export class FaithfulClusters {
  readonly transport = new MemoryTransport();
  readonly lines: Line[] = [];
  readonly lives: Life[] = [];
  /** Clusters that cannot be reached, and those where a connection opens and nothing is ever said. */
  readonly away = new Set<string>();
  readonly mute = new Set<string>();
  holder = "a";
  hasLeft = false;
  #streams = new NumberedStreams(bounds);
  #tenure = 0;
  #newestTenure = 0;
  #moves: Move[] = [];
  /** For each token that was given: where, and in which tenure it serves. */
  readonly #tokens: { readonly cluster: string; readonly tenure: number }[] = [];
  #current: Line | undefined;
  #ids = 0;
  #announced: { readonly to: string; readonly id: string } | undefined;

  constructor() {
    this.transport.onConnect = (link) => {
      const cluster = link.cluster.id;
      if (this.away.has(cluster)) return Promise.reject(new Error("no network"));
      this.lines.push({ link, cluster, coming: [], taken: 0, input: undefined, tenure: 0, isCut: false });
      return undefined;
    };
  }

  get life(): Life {
    const life = this.lives.at(-1);
    if (life === undefined) throw new Error("nobody has joined");
    return life;
  }

  /** The connection over which the player is served. */
  get current(): Line | undefined {
    return this.#current?.isCut === true ? undefined : this.#current;
  }

  /** Where the client was told that the player may be sent. */
  get announced(): string | undefined {
    return this.#announced?.to;
  }

  /** The game says something to the player. */
  say(): void {
    const { said } = this.life;
    const frame = encodeMessage({ command: 1, payload: numberPayload(said.push(said.length + 1)) });
    this.#streams.keep(frame);
    this.current?.coming.push(frame);
  }

  acknowledge(): void {
    this.current?.coming.push(encodeAck({ received: this.#streams.report() }));
  }

  /** The destination has prepared: the client is told where it may be sent. */
  announce(to: string): void {
    this.#announced = { to, id: this.#nextId() };
    this.current?.coming.push(encodeAhead({ id: this.#announced.id, cluster: clusterNamed(to) }));
  }

  /** It comes to nothing. */
  callOff(): void {
    if (this.#announced !== undefined) this.current?.coming.push(encodeStay({ id: this.#announced.id }));
    this.#announced = undefined;
  }

  /** The player is handed over: it has been committed, and the client is told. */
  handOver(to: string): void {
    const id = this.#announced?.to === to ? this.#announced.id : this.#nextId();
    this.#announced = undefined;
    const redirect = { id, key: id, boot: 1, cluster: clusterNamed(to), token: "h.t.s" };
    this.#newestTenure += 1;
    const tenure = this.#newestTenure;
    this.#moves.push({
      redirect,
      from: this.holder,
      to,
      tenureBefore: this.#tenure,
      tenure,
      active: false,
      isKeyGood: true,
    });
    this.current?.coming.push(encodeRedirect(redirect));
    this.#current = undefined;
    this.#tenure = tenure;
    this.holder = to;
  }

  /** The destination refuses, or has died, and the source takes the player back. */
  takeBack(): boolean {
    const move = this.#moves.at(-1);
    if (move === undefined || move.active || move.tenure !== this.#tenure) return false;
    this.#moves.pop();
    this.#newestTenure += 1;
    this.#tenure = move.tenureBefore;
    this.holder = move.from;
    this.#at(move.from, this.#tenure)?.coming.push(encodeStay({ id: move.redirect.id }));
    return true;
  }

  /** The redirect comes once more. */
  repeatRedirect(): void {
    const move = this.#moves.at(-1);
    if (move !== undefined) this.#at(move.from, move.tenureBefore)?.coming.push(encodeRedirect(move.redirect));
  }

  /** So many frames reach the client; without a number, all that are on their way. */
  deliver(line: Line, frames: number = line.coming.length): void {
    const come = line.coming.splice(0, frames);
    if (come.length > 0 && !line.isCut && line.link.state === "open") line.link.send(...come);
  }

  /** So many of the client's messages reach the cluster. */
  absorb(line: Line, messages = Number.POSITIVE_INFINITY): void {
    const come = line.link.messages.slice(line.taken, line.taken + messages);
    for (const message of come) {
      if (line.isCut) return;
      line.taken += 1;
      this.#take(line, message);
    }
    if (line.link.state !== "open" && line.taken === line.link.messages.length) line.isCut = true;
  }

  /** Both sides lose the connection, and what is on its way. */
  cut(line: Line): void {
    line.coming.length = 0;
    line.isCut = true;
    if (line.link.state === "open") line.link.end();
  }

  #at(cluster: string, tenure: number): Line | undefined {
    return this.lines.findLast((line) => line.cluster === cluster && line.tenure === tenure && !line.isCut);
  }

  #take(line: Line, message: ClientMessage): void {
    if (this.mute.has(line.cluster) && line.input === undefined) return;
    switch (message.type) {
      case "join":
        return this.#join(line, message);
      case "resume":
        return this.#resume(line, message);
      case "arrive":
        return this.#arrive(line, message);
      case "message":
        return this.#input(line, message.payload);
      case "ack":
        if (line === this.#current) this.#streams.acknowledge(message.received);
        break;
      case "ping":
        line.coming.push(encodePong({ echoMs: message.timeMs, timeMs: 0 }));
        break;
      case "close":
        this.hasLeft = true;
        line.isCut = true;
        break;
      case "hello":
      case "move":
      case "pong":
      case "request":
      case "response":
      case "cancel":
        break;
    }
    const move = this.#moves.at(-1);
    if (line === this.#current && move !== undefined) move.isKeyGood = false;
  }

  /** Wherever it comes, it is taken once, in order: a source forwards. [HAND-7] */
  #input(line: Line, payload: Uint8Array): void {
    if (line.input === undefined) throw new Error("an input before the answer");
    line.input += 1;
    if (line.tenure < this.#firstTenure || line.input !== this.#streams.lastInput + 1) return;
    this.#streams.count(payload.length + 4);
    this.life.applied.push(numberOf(payload));
  }

  #nextId(): string {
    this.#ids += 1;
    return this.#ids.toString(16).padStart(32, "0");
  }

  get #firstTenure(): number {
    return this.lives.length * sessionStep;
  }

  #join(line: Line, _join: Join): void {
    this.lives.push({ said: [], applied: [] });
    this.#streams = new NumberedStreams(bounds);
    this.#tenure = this.#firstTenure;
    this.#newestTenure = this.#tenure;
    this.#moves = [];
    this.holder = line.cluster;
    this.#serve(line, [
      this.#welcome(line),
      encodeStreams({ tenure: this.#tenure, received: 0, fresh: true }),
      this.#token(line),
    ]);
  }

  #resume(line: Line, { received, token }: Resume): void {
    const known = this.#tokens[new DataView(token.buffer, token.byteOffset).getUint32(0)];
    if (known === undefined || known.cluster !== line.cluster || known.tenure < this.#firstTenure) {
      return this.#reject(line, "RESUME_UNKNOWN");
    }
    if (known.tenure !== this.#tenure) return this.#sendOn(line, known.tenure, "RESUME_UNKNOWN");
    const again = this.#streams.unreceived(received);
    if (again === undefined) return this.#reject(line, "RESUME_UNKNOWN");
    this.#streams.acknowledge(received);
    const { lastInput } = this.#streams;
    const told = encodeStreams({ tenure: this.#tenure, received: lastInput, fresh: false });
    const resumed = encodeResumed({ received: lastInput >>> 0, timeMs: 0, tick: 1, tickHz: 30 });
    this.#serve(line, [resumed, told, this.#token(line), ...again]);
  }

  #arrive(line: Line, { id, key, position }: Arrive): void {
    const move = this.#moves.find(({ redirect }) => redirect.id === id && redirect.key === key);
    if (move?.to !== line.cluster) return this.#reject(line, "ARRIVAL_UNKNOWN");
    if (move.tenure !== this.#tenure) return this.#sendOn(line, move.tenure, "ARRIVAL_UNKNOWN");
    const again = this.#streams.unreceived(position.received >>> 0);
    if (!move.isKeyGood || again === undefined) return this.#reject(line, "ARRIVAL_UNKNOWN");
    move.active = true;
    this.#streams.acknowledge(position.received >>> 0);
    const told = encodeStreams({ tenure: this.#tenure, received: this.#streams.lastInput, fresh: false });
    this.#serve(line, [this.#welcome(line), told, this.#token(line), ...again]);
  }

  /** [REDIRECT-2] */
  #sendOn(line: Line, tenure: number, otherwise: "RESUME_UNKNOWN" | "ARRIVAL_UNKNOWN"): void {
    const next = this.#moves.find((move) => move.from === line.cluster && move.tenureBefore === tenure);
    if (next === undefined) return this.#reject(line, otherwise);
    line.coming.push(encodeRedirect(next.redirect));
    line.tenure = tenure;
    line.input = Number.NaN;
  }

  #serve(line: Line, frames: readonly Uint8Array[]): void {
    const before = this.#current;
    if (before !== undefined && before !== line) this.cut(before);
    this.#current = line;
    line.tenure = this.#tenure;
    line.input = this.#streams.lastInput;
    line.coming.push(...frames);
  }

  #reject(line: Line, code: "RESUME_UNKNOWN" | "ARRIVAL_UNKNOWN"): void {
    line.coming.push(encodeReject(code));
  }

  #welcome(line: Line): Uint8Array {
    const changes = { features: worldless, playerNumber: this.lives.length, cluster: line.cluster };
    return encodeWelcome({ ...sampleWelcome, ...changes });
  }

  #token(line: Line): Uint8Array {
    const token = numberPayload(this.#tokens.push({ cluster: line.cluster, tenure: this.#tenure }) - 1);
    return encodeResumeToken({ graceMs: 60_000, token });
  }
}

export function numberPayload(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export function numberOf(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getUint32(0);
}

import { randomUUID } from "node:crypto";
import { createClient, type GameSession, type SustenetClient } from "../clients/typescript/index.ts";
import { Wanderer } from "../examples/world/wanderer.ts";
import { ByteReader, ByteWriter } from "../protocol/index.ts";
import { addSample } from "./histogram.ts";
import type { Tally } from "./tally.ts";

/** The command that the echo example answers. */
const echoCommand = 20;
/** Length of what is to be echoed: the message's number. */
const echoBytes = 4;
const messagesPerSecond = 10;
/** How long a message waits for its answer before it counts as lost. */
const answerTimeoutMs = 5_000;

/** Who a player is, and where it plays. */
export interface PlayerOptions {
  readonly masterUrl: string;
  /** The label `stack` of the clusters that it asks for. */
  readonly stack: string;
  /** From 0. */
  readonly number: number;
  /** Where it counts. */
  readonly tally: Tally;
  /** Told in one line what is odd. */
  readonly say: (text: string) => void;
}

/** A player who wanders about and asks for echoes, by the public client library alone. */
export class Player {
  readonly #client: SustenetClient;
  readonly #stack: string;
  readonly #tally: Tally;
  readonly #number: number;
  readonly #say: (text: string) => void;
  #isPuzzled = false;
  #session: GameSession | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When each unanswered message was sent, by its number. */
  readonly #unanswered = new Map<number, number>();
  #nextNumber = 0;
  readonly #wanderer = new Wanderer();
  #fragment: string | undefined;
  /** When it went on at another cluster last. */
  #movedAt = 0;

  constructor(options: PlayerOptions) {
    this.#client = createClient({ masterUrl: options.masterUrl, clientName: "sustenet-demo-player" });
    this.#stack = options.stack;
    this.#number = options.number;
    this.#tally = options.tally;
    this.#say = options.say;
  }

  /** Signs up (every fourth player stays anonymous), logs in, is allocated and joins. Returns the cluster's name. */
  async join(): Promise<string> {
    if (this.#number % 4 === 3) {
      await this.#client.login({ anonymous: true, displayName: `Wanderer ${this.#number}` });
    } else {
      const email = `player-${randomUUID()}@example.com`;
      const password = randomUUID();
      await this.#client.signUp({ email, password, displayName: `Player ${this.#number}` });
      await this.#client.login({ email, password });
    }
    const selector = { labels: { stack: this.#stack } };
    const session = await this.#client.join(await this.#client.allocate({ selector }));
    this.#session = session;
    this.#tally.joined += 1;
    session.world.on("fragment", ({ name }) => this.#arrived(name));
    session.world.on("enter", () => (this.#tally.entitiesSeen += 1));
    session.world.on("update", () => (this.#tally.entityUpdates += 1));
    session.on("message", ({ command, payload }) => this.#receive(command, payload));
    session.on("position", () => (this.#tally.movesRefused += 1));
    session.on("moved", ({ gapMs }) => {
      this.#movedAt = performance.now();
      this.#tally.handovers += 1;
      addSample(this.#tally.handoverGapMs, gapMs);
    });
    session.on("rejoined", () => (this.#tally.rejoined += 1));
    return session.welcome.cluster;
  }

  /** Whether it is in the game at this moment, or on its way to the cluster that goes on with it. */
  get isConnected(): boolean {
    const state = this.#session?.state;
    return state === "joined" || state === "moving";
  }

  /** Starts to move and to send. */
  play(): void {
    this.#timer = setInterval(() => {
      this.#move();
      this.#send();
    }, 1_000 / messagesPerSecond);
  }

  /** Stops sending, and waits for the answers that are due, and for the way back into the game if need be. */
  async finish(): Promise<void> {
    clearInterval(this.#timer);
    const deadline = performance.now() + answerTimeoutMs;
    const isDue = (): boolean => this.#unanswered.size > 0 || (this.#session !== undefined && !this.isConnected);
    while (isDue() && this.#session?.state !== "closed" && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async leave(): Promise<void> {
    await this.#session?.leave();
  }

  #move(): void {
    if (this.#session === undefined) return;
    const to = this.#wanderer.step(this.#session.position, 1 / messagesPerSecond);
    this.#session.move(to);
    this.#tally.moves += 1;
  }

  #arrived(fragment: string): void {
    if (this.#fragment !== undefined && this.#fragment !== fragment) this.#tally.fragmentCrossings += 1;
    this.#fragment = fragment;
  }

  #send(): void {
    const number = this.#nextNumber++;
    // Between two clusters nothing is taken: then nothing can be lost either.
    if (this.#session?.send(echoCommand, new ByteWriter(echoBytes).u32(number).bytes) !== true) return;
    this.#unanswered.set(number, performance.now());
    this.#tally.sent += 1;
  }

  #receive(command: number, payload: Uint8Array): void {
    if (command !== echoCommand) return;
    if (payload.length !== echoBytes) return this.#wonder(payload.length);
    const number = new ByteReader(payload).u32();
    const sentAt = this.#unanswered.get(number);
    if (sentAt === undefined) {
      this.#tally.duplicated += 1;
      return;
    }
    this.#unanswered.delete(number);
    this.#tally.received += 1;
    const rttMs = performance.now() - sentAt;
    addSample(this.#tally.rttMs, rttMs);
    if (sentAt < this.#movedAt) addSample(this.#tally.handoverRttMs, rttMs);
  }
  /** What answers there is another game: said once. */
  #wonder(bytes: number): void {
    if (this.#isPuzzled) return;
    this.#isPuzzled = true;
    const cluster = this.#session?.welcome.cluster ?? "the cluster";
    this.#say(`${cluster} answers with ${bytes} bytes where the echo has ${echoBytes}: it runs another game`);
  }
}

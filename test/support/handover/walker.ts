import { randomInt } from "node:crypto";
import { createClient, type GameSession } from "../../../clients/typescript/index.ts";
import { ByteReader, ByteWriter } from "../../../data-plane/index.ts";
import { chained, commands } from "./ledger.ts";

const stepMs = 50;
const speed = 8;
/** How far from the border it turns. */
const reach = 5;

/** A player that walks from one half of the world into the other and back, talks all the time, and keeps books of it. */
export class Walker {
  readonly faults: string[] = [];
  playerId = "";
  session: GameSession | undefined;
  /** How often it began again from what was there before. */
  fallbacks = 0;
  /** The last that it has sent, has been answered, and has been sent by the cluster. */
  sent = 0;
  echoed = 0;
  pulse = 0;
  /** The last that it was told is saved for good. */
  saved = 0;
  /** For each time that it was sent on: how long nothing came from the game, in ms. */
  readonly gapsMs: number[] = [];
  /** After each input, the chain up to it. */
  readonly #chains: number[] = [0];
  #timer: NodeJS.Timeout | undefined;
  #direction = 1;
  #isIn = false;

  /** @param clusterId where it begins */
  async join(masterUrl: string, clusterId: string): Promise<void> {
    // Clusters are killed here faster than a session counts as stable again: the library's usual five tries would run out.
    const client = createClient({ masterUrl, rejoin: { attempts: 100 } });
    this.playerId = (await client.login({ anonymous: true })).id;
    const session = await client.join(await client.allocate({ clusterId }));
    this.session = session;
    session.on("message", ({ command, payload }) => this.#hear(command, new ByteReader(payload)));
    session.on("close", ({ code, text }) => {
      if (this.#timer !== undefined) this.faults.push(`${this.playerId} was closed with ${code}: ${text}`);
    });
    session.on("moved", ({ gapMs }) => void this.gapsMs.push(gapMs));
    this.goOn();
  }

  /** Goes on walking and talking after a rest. */
  goOn(): void {
    const { session } = this;
    if (session !== undefined) this.#timer ??= setInterval(() => this.#step(session), stepMs);
  }

  /** Nothing more is said, so that all answers can come. */
  rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Has itself teleported to the other half of the world, farther than anybody walks. */
  teleport(): void {
    const { session } = this;
    const x = (session?.position.x ?? 0) < 0 ? 20 : -20;
    session?.send(commands.teleport, new ByteWriter(4).f32(x).bytes);
  }

  describe(): string {
    const { playerId, session, sent, echoed, saved, fallbacks } = this;
    const { x } = session?.position ?? { x: 0 };
    return `${playerId} ${session?.state} at ${x.toFixed(1)}: ${sent} sent, ${echoed} answered, ${saved} saved, ${fallbacks} fallbacks`;
  }

  async leave(): Promise<void> {
    this.rest();
    await this.session?.leave();
  }

  #step(session: GameSession): void {
    if (!this.#isIn) return;
    const { position } = session;
    if (position.x > reach) this.#direction = -1;
    else if (position.x < -reach) this.#direction = 1;
    if (session.state === "joined")
      session.move({ ...position, x: position.x + (this.#direction * speed * stepMs) / 1_000 });
    const input = this.sent + 1;
    const nonce = randomInt(2 ** 32);
    if (!session.send(commands.input, new ByteWriter(8).u32(input).u32(nonce).bytes)) return;
    this.#chains[input] = chained(this.#chains[input - 1] ?? 0, input, nonce);
    this.sent = input;
  }

  #hear(command: number, reader: ByteReader): void {
    if (command === commands.begin) return this.#begin(reader.u32(), reader.u32(), reader.u32());
    const count = reader.u32();
    if (command === commands.echo) {
      if (count !== this.echoed + 1) this.faults.push(`${this.playerId}: answer ${count} after ${this.echoed}`);
      this.echoed = count;
    } else if (command === commands.pulse) {
      if (count !== this.pulse + 1) this.faults.push(`${this.playerId}: pulse ${count} after ${this.pulse}`);
      this.pulse = count;
    } else if (command === commands.saved) {
      this.saved = count;
    }
  }

  /** The game begins for it, or goes on from what was saved: never from what it has not done itself. */
  #begin(input: number, chain: number, pulse: number): void {
    if (this.#isIn) this.fallbacks += 1;
    this.#isIn = true;
    if (input < this.saved) this.faults.push(`${this.playerId}: falls back to ${input}, behind ${this.saved}`);
    if (this.#chains[input] !== chain) this.faults.push(`${this.playerId}: goes on from what never was, at ${input}`);
    this.sent = input;
    this.echoed = input;
    this.pulse = pulse;
  }
}

import { randomInt, randomUUID } from "node:crypto";
import { setTimeout as pass } from "node:timers/promises";
import {
  createClient,
  type GameSession,
  type NewAccount,
  type PlayerSessionTokens,
} from "../../../clients/typescript/index.ts";
import { ByteReader, ByteWriter } from "../../../data-plane/index.ts";
import { acknowledged } from "./acknowledged.ts";
import { Device } from "./device.ts";
import { chained, commands } from "./ledger.ts";

const stepMs = 50;
const speed = 8;
/** Within this time a cluster has let in who came, also one that did nothing for a while, or it never will. */
const longestEntryMs = 4_000;
/** Within this time a session that was lost is back, or is known not to come. */
const longestReturnMs = 30_000;
/** How far from the border it turns. */
const reach = 5;

interface Beginning {
  readonly input: number;
  readonly chain: number;
  readonly pulse: number;
  readonly run: number;
}

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
  /** Told of each ticket that it is given. */
  onTicket: () => void = () => undefined;
  /** Whether the game goes on from what was saved; otherwise that is not known yet, and it began with nothing. */
  isKnown = true;
  /** Whom it walks after; by itself, without one. */
  leader: Walker | undefined;
  /** Somebody has ordered that its session ends: that is no fault then. */
  isEnding = false;
  #masterUrl = "";
  #account: NewAccount = newAccount();
  #tokens: PlayerSessionTokens | undefined;
  #device = this.#newDevice();
  #run = 0;
  /** After each input, the chain up to it. */
  #chains: number[] = [0];
  /** The same of runs that may go on once it is known what was saved. */
  #otherChains: number[][] = [];
  #timer: NodeJS.Timeout | undefined;
  #direction = 1;
  #isIn = false;

  /** @param clusterId where it begins */
  async join(masterUrl: string, clusterId: string): Promise<void> {
    this.#masterUrl = masterUrl;
    const client = await this.#signUp();
    this.#play(await client.join(await client.allocate({ clusterId })));
  }

  /** Whether its session is over. */
  get isOut(): boolean {
    return this.session === undefined || this.session.state === "closed";
  }

  /** Comes back as somebody who knows nothing of what was: after a goodbye, or on another device, while the one before is gone without a word. */
  async comeBack(saysGoodbye: boolean): Promise<void> {
    this.rest();
    const { session } = this;
    this.session = undefined;
    if (!saysGoodbye) this.#device.turnOff();
    await session?.leave();
    this.#device.turnOff();
    this.#device = this.#newDevice();
    await this.enter();
  }

  /**
   * Another device of the same player tries to get in, and is gone without a word after so many milliseconds. If that has ended the session
   * here, it comes back.
   *
   * @returns whether the session here was ended: it may have come back by itself, where the other one's was over by then
   */
  async meetsAnother(afterMs: number): Promise<boolean> {
    const device = this.#newDevice();
    const { fallbacks } = this;
    this.isEnding = true;
    const gone = new AbortController();
    const joins = this.#client(device)
      .join(undefined, { signal: gone.signal })
      .then(
        () => undefined,
        () => undefined,
      );
    await pass(afterMs);
    device.turnOff();
    // With a ticket, but not in, it would try a hundred times more.
    gone.abort();
    await joins;
    const startMs = performance.now();
    const isSettled = (): boolean => {
      const waitedMs = performance.now() - startMs;
      return (
        this.isOut || waitedMs > longestReturnMs || (waitedMs > longestEntryMs && this.session?.state === "joined")
      );
    };
    while (!isSettled()) await pass(stepMs);
    const { isOut } = this;
    if (isOut) {
      this.rest();
      await this.enter();
    }
    this.isEnding = false;
    return isOut || this.fallbacks !== fallbacks;
  }

  /** Into the game, wherever it is sent. @throws SustenetError as the master refuses it */
  async enter(): Promise<void> {
    this.#play(await this.#client().join());
  }

  async logIn(): Promise<void> {
    await this.#client().login(this.#account);
  }

  /** Its account is gone when this resolves, and its session ends. */
  async deleteAccount(): Promise<void> {
    const authorization = `Bearer ${this.#tokens?.accessToken ?? ""}`;
    const url = `${this.#masterUrl}/v1/me`;
    await acknowledged("the deletion of an account", (signal) =>
      fetch(url, { method: "DELETE", headers: { authorization }, signal }),
    );
  }

  /** Goes on as somebody else, who has never played. */
  async beginAnew(): Promise<void> {
    this.#account = newAccount();
    this.#tokens = undefined;
    this.isKnown = true;
    this.saved = 0;
    this.#run = 0;
    this.#chains = [0];
    this.#otherChains = [];
    await this.#signUp();
    await this.enter();
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
    if (this.isOut) return;
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

  /** @throws Error where the master has no such account then */
  async #signUp() {
    const client = this.#client();
    const player = await client.signUp(this.#account);
    if (player === undefined) throw new Error("accounts are to be confirmed here");
    this.playerId = player.id;
    return client;
  }

  #newDevice(): Device {
    return new Device(() => this.onTicket());
  }

  #client({ fetch, transport } = this.#device) {
    // Clusters are killed here faster than a session counts as stable again: the library's usual five tries would run out.
    return createClient({
      masterUrl: this.#masterUrl,
      rejoin: { attempts: 100 },
      tokens: this.#tokens,
      onTokens: (tokens) => (this.#tokens = tokens),
      fetch,
      transport,
    });
  }

  #play(session: GameSession): void {
    this.session = session;
    this.#isIn = false;
    session.on("message", ({ command, payload }) => {
      if (session === this.session) this.#hear(command, new ByteReader(payload));
    });
    session.on("close", ({ code, text }) => {
      if (session === this.session && this.#timer !== undefined && !this.isEnding)
        this.faults.push(`${this.playerId} was closed with ${code}: ${text}`);
    });
    session.on("moved", ({ gapMs }) => void this.gapsMs.push(gapMs));
    this.goOn();
  }

  #step(session: GameSession): void {
    if (!this.#isIn || session.state === "closed") return;
    const { position } = session;
    const { leader } = this;
    if (leader !== undefined) this.#direction = (leader.session?.position.x ?? 0) < position.x ? -1 : 1;
    else if (position.x > reach) this.#direction = -1;
    else if (position.x < -reach) this.#direction = 1;
    if (session.state === "joined")
      session.move({ ...position, x: position.x + (this.#direction * speed * stepMs) / 1_000 });
    const input = this.sent + 1;
    const nonce = randomInt(2 ** 32);
    if (!session.send(commands.input, new ByteWriter(12).u32(input).u32(nonce).u32(this.#run).bytes)) return;
    this.#chains[input] = chained(this.#chains[input - 1] ?? 0, input, nonce);
    this.sent = input;
  }

  #hear(command: number, reader: ByteReader): void {
    const count = reader.u32();
    if (command === commands.begin) {
      this.#begin({ input: count, chain: reader.u32(), pulse: reader.u32(), run: reader.u32() }, reader.u8() === 1);
    } else if (command === commands.echo) {
      if (count !== this.echoed + 1) this.faults.push(`${this.playerId}: answer ${count} after ${this.echoed}`);
      this.echoed = count;
    } else if (command === commands.pulse) {
      if (count !== this.pulse + 1) this.faults.push(`${this.playerId}: pulse ${count} after ${this.pulse}`);
      this.pulse = count;
    } else if (command === commands.saved) {
      if (reader.u32() !== this.#run) this.faults.push(`${this.playerId}: ${count} was saved of a run that is over`);
      // [HAND-16]
      if (!this.isKnown) this.faults.push(`${this.playerId}: ${count} was saved over what is not known yet`);
      this.saved = Math.max(this.saved, count);
    }
  }

  /** The game begins for it, or goes on from what was saved: never from what it has not done itself. */
  #begin({ input, chain, pulse, run }: Beginning, isKnown: boolean): void {
    if (this.#isIn && this.isKnown) this.fallbacks += 1;
    // What was begun before it was known that there is something is never what goes on.
    const mayGoOn = this.isKnown || this.saved === 0;
    this.#isIn = true;
    this.isKnown = isKnown;
    if (isKnown && input < this.saved)
      this.faults.push(`${this.playerId}: falls back to ${input}, behind ${this.saved}`);
    if (run === this.#run) {
      // There was nothing: it goes on.
      if (this.saved > 0) this.faults.push(`${this.playerId}: nothing was saved, they say, after ${this.saved}`);
      this.#otherChains = [];
      return;
    }
    if (isKnown) {
      const candidates = mayGoOn ? [this.#chains, ...this.#otherChains] : this.#otherChains;
      const chains = candidates.find((one) => one[input] === chain);
      if (chains === undefined) this.faults.push(`${this.playerId}: goes on from what never was, at ${input}`);
      this.#chains = chains?.slice(0, input + 1) ?? [];
      this.#otherChains = [];
    } else {
      if (mayGoOn) this.#otherChains.push(this.#chains);
      this.#chains = [chain];
    }
    this.#run = run;
    this.sent = input;
    this.echoed = input;
    this.pulse = pulse;
  }
}

function newAccount(): NewAccount {
  return { email: `${randomUUID()}@walkers.example`, password: randomUUID() };
}

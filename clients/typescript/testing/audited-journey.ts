import { wait } from "../clock.ts";
import { ConnectionAhead } from "../connection-ahead.ts";
import { SustenetError } from "../error.ts";
import { arriveConnection, openConnection, resumeConnection } from "../opening.ts";
import { GameSession } from "../game-session.ts";
import { contextOf } from "./connection-context.ts";
import { FaithfulClusters, type Line, numberOf, numberPayload } from "./faithful-clusters.ts";
import { ManualClock, settle } from "./manual-clock.ts";
import { clusterNamed } from "./travelling-session.ts";

/** What a session was told to say, and was told, by life. */
interface Heard {
  readonly sent: number[];
  readonly heard: number[];
  lost: readonly number[] | undefined;
}

/** A player at {@link FaithfulClusters}, who keeps account of all that is said. */
export class AuditedJourney {
  readonly clock = new ManualClock();
  readonly clusters = new FaithfulClusters();
  readonly events: string[] = [];
  readonly lives = new Map<number, Heard>();
  #session: GameSession | undefined;
  #ended: string | undefined;

  get session(): GameSession {
    if (this.#session === undefined) throw new Error("not in the game");
    return this.#session;
  }

  /** How it ended, if it has. */
  get ended(): string | undefined {
    return this.#ended;
  }

  get #life(): Heard {
    const { playerNumber } = this.session.welcome;
    const life = this.lives.get(playerNumber) ?? { sent: [], heard: [], lost: undefined };
    this.lives.set(playerNumber, life);
    return life;
  }

  async join(random: () => number = () => 0): Promise<void> {
    const { clock, clusters } = this;
    const context = contextOf(clusters.transport, clock);
    const joining = openConnection({ cluster: clusterNamed("a"), ticket: "t" }, context);
    await settle();
    this.flow();
    const session = new GameSession(await joining, {
      clock,
      stableMs: 0,
      // As a master would, which is always there: to who has the player. The client library's own rejoin has its own tests.
      rejoin: async (failure, _attempt, signal, _onAttempt, earlier) => {
        for (let attempt = 1; attempt <= 1_000; attempt += 1) {
          try {
            const cluster = clusterNamed(clusters.holder);
            return await openConnection({ cluster, ticket: "t" }, context, signal, earlier);
          } catch (error) {
            if (signal.aborted || !(error instanceof SustenetError)) throw error;
            await wait(clock, 500, signal);
          }
        }
        throw failure;
      },
      resumption: { open: (memory, signal) => resumeConnection(memory, context, signal), clock, random },
      arrive: (memory, redirect, signal, ahead) => arriveConnection(memory, redirect, context, signal, ahead),
      openAhead: (cluster) => new ConnectionAhead(cluster, context),
    });
    this.#session = session;
    session.on("message", ({ payload }) => this.#life.heard.push(numberOf(payload)));
    session.on("resumed", () => this.events.push("resumed"));
    session.on("moving", ({ cluster }) => this.events.push(`moving ${cluster.id}`));
    session.on("moved", ({ cluster }) => this.events.push(`moved ${cluster.id}`));
    session.on("rejoined", ({ fresh, lost }) => {
      this.events.push("rejoined");
      const before = [...this.lives.entries()].findLast(([number]) => number !== session.welcome.playerNumber);
      if (fresh && before !== undefined) before[1].lost = lost.map(({ payload }) => numberOf(payload));
    });
    session.on("close", ({ code }) => (this.#ended = code));
    await settle();
  }

  /** The game sends something. */
  send(): void {
    const { sent } = this.#life;
    if (this.session.send(1, numberPayload(sent.length + 1))) sent.push(sent.length + 1);
  }

  /** All that is on its way comes. */
  flow(): void {
    for (const line of this.clusters.lines) {
      this.clusters.absorb(line);
      this.clusters.deliver(line);
    }
  }

  /** Nothing is in the way any more: it takes its course for at most a minute. */
  async heal(): Promise<void> {
    this.clusters.away.clear();
    this.clusters.mute.clear();
    for (let step = 0; step < 600 && this.#ended === undefined; step += 1) {
      this.flow();
      await settle();
      if (this.#isAtRest()) return;
      await this.clock.advance(100);
    }
  }

  /** What is not as it should be. [HAND-9] */
  faults(): string[] {
    const faults: string[] = [];
    const newest = this.clusters.lives.length;
    for (const [index, { said, applied }] of this.clusters.lives.entries()) {
      const { sent = [], heard = [], lost } = this.lives.get(index + 1) ?? {};
      const isOver = index + 1 < newest || this.#ended !== undefined;
      if (!isPrefix(heard, said, !isOver)) faults.push(`said ${said.join()}, heard ${heard.join()}`);
      if (!isPrefix(applied, sent, !isOver)) faults.push(`sent ${sent.join()}, applied ${applied.join()}`);
      const untold = sent.slice(applied.length).filter((one) => lost?.includes(one) !== true);
      if (index + 1 < newest && untold.length > 0) faults.push(`lost ${untold.join()}, and told nobody`);
    }
    // One that was opened ahead says nothing, and ends by itself.
    const open = this.clusters.lines.filter(({ link }) => link.state === "open" && link.messages.length > 0);
    if (this.#ended === undefined) {
      if (this.session.state !== "joined") faults.push(`is ${this.session.state} at the end`);
      if (open.length !== 1) faults.push(`${open.length} connections are open`);
      if (open[0] !== this.clusters.current) faults.push("is connected to who does not have it");
    } else if (open.length > 0) faults.push(`${open.length} connections are left`);
    return faults;
  }

  /** Leaves; what is left then. */
  async leave(): Promise<string[]> {
    const leaving = this.session.leave();
    await this.clock.advance(10_000);
    await leaving;
    const open = this.clusters.lines.filter(({ link, isCut }) => link.state === "open" && !isCut).length;
    return [
      ...(open > 0 ? [`${open} connections`] : []),
      ...(this.clock.pending > 0 ? [`${this.clock.pending} timers`] : []),
    ];
  }

  #isAtRest(): boolean {
    const { lines, lives, current } = this.clusters;
    const isQuiet = ({ link, taken, coming }: Line): boolean => coming.length === 0 && taken === link.messages.length;
    const { sent, heard } = this.#life;
    return (
      this.session.state === "joined" &&
      current?.link.state === "open" &&
      lives.length === this.session.welcome.playerNumber &&
      heard.length === this.clusters.life.said.length &&
      sent.length === this.clusters.life.applied.length &&
      lines.filter(({ link }) => link.state === "open").every(isQuiet)
    );
  }
}

function isPrefix(part: readonly number[], whole: readonly number[], isWhole: boolean): boolean {
  return part.every((one, index) => one === whole[index]) && (!isWhole || part.length === whole.length);
}

import {
  type LinkTell,
  type LinkTold,
  type MailOutcome,
  mailsPerSecond,
  maxMailBurst,
  Rate,
} from "../../protocol/index.ts";

/** Longest wait for what has become of a message. The master gives up sooner. */
export const mailAnswerMs = 10_000;

interface Waiting {
  readonly resolve: (outcome: MailOutcome) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Messages to players on other clusters, on their way to the master. It keeps to the master's rate by itself, so that no more
 * than a burst and an answer time's worth of them wait; none is sent twice.
 */
export class MailDesk {
  readonly #nowMs: () => number;
  readonly #rate = new Rate(mailsPerSecond, maxMailBurst);
  readonly #waiting = new Map<number, Waiting>();
  #send: ((tell: LinkTell) => void) | undefined;
  #lastId = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** There is a link, to a master that passes mail on. */
  open(send: (tell: LinkTell) => void): void {
    this.#send = send;
  }

  /** The link is gone. @returns how many messages it has taken with it */
  close(): number {
    this.#send = undefined;
    const { size } = this.#waiting;
    for (const id of this.#waiting.keys()) this.told({ id, outcome: "lost" });
    return size;
  }

  /** Sends it now or not at all. Never rejects. */
  async tell(playerId: string, command: number, payload: Uint8Array): Promise<MailOutcome> {
    const send = this.#send;
    if (send === undefined || !this.#rate.take(this.#nowMs())) return "refused";
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve } = Promise.withResolvers<MailOutcome>();
    const timer = setTimeout(() => this.told({ id, outcome: "lost" }), mailAnswerMs);
    timer.unref();
    this.#waiting.set(id, { resolve, timer });
    send({ type: "tell", id, playerId, command, payload: Buffer.from(payload).toString("base64") });
    return promise;
  }

  /** What the master says has become of one. Answers that nobody waits for are passed over. */
  told({ id, outcome }: Pick<LinkTold, "id" | "outcome">): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    waiting.resolve(outcome);
  }
}

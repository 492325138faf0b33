import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { z } from "zod";

const order = z.discriminatedUnion("type", [
  z.object({ type: z.literal("tickets"), count: z.number() }),
  z.object({ type: z.literal("figures") }),
]);

const answer = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("ready"),
    port: z.number(),
    webSocketPort: z.number(),
    serverName: z.string(),
    caPem: z.string(),
  }),
  z.object({ type: z.literal("tickets"), tickets: z.array(z.string()) }),
  z.object({
    type: z.literal("figures"),
    connections: z.record(z.string(), z.number()),
    refusals: z.record(z.string(), z.number()),
    framesIn: z.number(),
    joins: z.number(),
    errors: z.array(z.string()),
    /** The most CPU time that a turn of the event loop took, since the last figures. */
    turnMs: z.number(),
    /** CPU time of the process, since it began. */
    cpuMs: z.number(),
    heapMb: z.number(),
    rssMb: z.number(),
  }),
]);

export type ClusterOrder = z.infer<typeof order>;
export type ClusterAnswer = z.infer<typeof answer>;
export type ClusterFigures = Extract<ClusterAnswer, { type: "figures" }>;

export function parseOrder(message: unknown): ClusterOrder {
  return order.parse(message);
}

/** Longest wait for an answer: past it the cluster counts as dead. */
const answerTimeoutMs = 30_000;

/** A cluster in a process of its own, seen from here. */
export class ClusterProcess {
  readonly target: Extract<ClusterAnswer, { type: "ready" }>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, target: Extract<ClusterAnswer, { type: "ready" }>) {
    this.#child = child;
    this.target = target;
  }

  static async start(): Promise<ClusterProcess> {
    const child = fork(join(import.meta.dirname, "cluster-process.ts"), { execArgv: ["--expose-gc"] });
    return new ClusterProcess(child, await receive(child, "ready"));
  }

  async tickets(count: number): Promise<readonly string[]> {
    return (await this.#ask({ type: "tickets", count }, "tickets")).tickets;
  }

  async figures(): Promise<ClusterFigures> {
    return this.#ask({ type: "figures" }, "figures");
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  async #ask<T extends ClusterAnswer["type"]>(
    message: ClusterOrder,
    type: T,
  ): Promise<Extract<ClusterAnswer, { type: T }>> {
    const answered = receive(this.#child, type);
    this.#child.send(message);
    return answered;
  }
}

function receive<T extends ClusterAnswer["type"]>(
  child: ChildProcess,
  type: T,
): Promise<Extract<ClusterAnswer, { type: T }>> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      clearTimeout(timer);
      child.off("message", onMessage);
      child.off("exit", onExit);
    };
    const onMessage = (message: unknown): void => {
      const parsed = answer.parse(message);
      if (!isOfType(parsed, type)) return;
      done();
      resolve(parsed);
    };
    const onExit = (code: number | null): void => {
      done();
      reject(new Error(`the cluster's process has ended (${code})`));
    };
    // A second timer, as this process may have been suspended for all of the first.
    let timer = setTimeout(() => {
      timer = setTimeout(() => {
        done();
        reject(new Error(`the cluster does not answer (${type})`));
      }, answerTimeoutMs / 2);
    }, answerTimeoutMs / 2);
    child.on("message", onMessage);
    child.on("exit", onExit);
  });
}

function isOfType<T extends ClusterAnswer["type"]>(
  message: ClusterAnswer,
  type: T,
): message is Extract<ClusterAnswer, { type: T }> {
  return message.type === type;
}

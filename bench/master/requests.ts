import { Agent, request } from "node:http";

/** What is asked for over and over. */
export interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What came of a window of calls. */
export interface CallCounts {
  readonly done: number;
  readonly failed: number;
  /** Of each call, in ms, ascending. */
  readonly latenciesMs: readonly number[];
  readonly firstFailure: string | undefined;
}

/** Calls over connections that stay open, so many at a time. Answers other than 200 are failures. */
export class Caller {
  readonly #agent: Agent;
  readonly #port: number;
  readonly #parallel: number;

  constructor(port: number, parallel: number) {
    this.#port = port;
    this.#parallel = parallel;
    this.#agent = new Agent({ keepAlive: true, maxSockets: parallel });
  }

  /** Calls what `next` gives for `durationMs`, then lets what has begun come to its end. */
  async run(durationMs: number, next: () => Call): Promise<CallCounts> {
    const endAt = performance.now() + durationMs;
    return this.#drive(() => (performance.now() < endAt ? next() : undefined));
  }

  /** Makes all of these calls. */
  async all(calls: readonly Call[]): Promise<CallCounts> {
    let index = 0;
    return this.#drive(() => calls[index++]);
  }

  async #drive(next: () => Call | undefined): Promise<CallCounts> {
    const latenciesMs: number[] = [];
    let failed = 0;
    let firstFailure: string | undefined;
    const lane = async (): Promise<void> => {
      for (let call = next(); call !== undefined; call = next()) {
        const startedAt = performance.now();
        const { status, text } = await this.call(call);
        latenciesMs.push(performance.now() - startedAt);
        if (status === 200) continue;
        failed += 1;
        firstFailure ??= `${status}: ${text.slice(0, 300)}`;
      }
    };
    await Promise.all(Array.from({ length: this.#parallel }, lane));
    return { done: latenciesMs.length - failed, failed, latenciesMs: latenciesMs.sort((a, b) => a - b), firstFailure };
  }

  call(call: Call): Promise<{ readonly status: number; readonly text: string }> {
    const { method, path, headers, body } = call;
    return new Promise((resolve, reject) => {
      const sent = request({ host: "127.0.0.1", port: this.#port, agent: this.#agent, method, path, headers });
      sent.on("error", reject);
      sent.on("response", (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (piece: string) => (text += piece));
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
        answer.on("error", reject);
      });
      sent.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** The latency that this share of the calls did not exceed. */
export function percentile(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? Number.NaN;
}

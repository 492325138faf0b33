import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { z } from "zod";

const replySchema = z.object({
  id: z.number(),
  result: z.unknown().optional(),
  error: z.string().optional(),
});

interface Waiter {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** A process of the benchmark, pinned to a core, that answers calls over IPC. It ends when this process does. */
export class Child {
  readonly #title: string;
  readonly #process: ChildProcess;
  readonly #waiters = new Map<number, Waiter>();
  #lastId = 0;
  #ended: string | undefined;
  #output = "";

  constructor(title: string, file: string, core: number, nodeArguments: readonly string[] = []) {
    this.#title = title;
    const command = ["-c", String(core), process.execPath, ...nodeArguments, join(import.meta.dirname, file)];
    this.#process = spawn("taskset", command, {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: { ...process.env, NODE_ENV: "production", NODE_NO_WARNINGS: "1" },
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => (this.#output = (this.#output + text).slice(-4_000)));
    }
    this.#process.on("message", (message: unknown) => this.#settle(message));
    this.#process.on("error", (error) => this.#end(error.message));
    this.#process.on("exit", (code, signal) => this.#end(`ended (${signal ?? code})`));
  }

  /** Calls a method over there. Rejects when it throws, when the process ends, and after `deadlineMs`. */
  call(method: string, params: unknown = {}, deadlineMs = 60_000): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#fault(method, this.#ended));
        return;
      }
      const timer = setTimeout(() => {
        this.#waiters.delete(id);
        reject(this.#fault(method, `no answer within ${deadlineMs} ms`));
      }, deadlineMs);
      this.#waiters.set(id, {
        resolve,
        reject: (error) => reject(this.#fault(method, error.message)),
        timer,
      });
      this.#process.send({ id, method, params });
    });
  }

  /** Ends the process at once. */
  async stop(): Promise<void> {
    if (this.#ended !== undefined) return;
    const exited = new Promise<void>((resolve) => this.#process.once("exit", () => resolve()));
    this.#process.kill("SIGKILL");
    await exited;
  }

  #settle(message: unknown): void {
    const reply = replySchema.parse(message);
    const waiter = this.#waiters.get(reply.id);
    if (waiter === undefined) return;
    this.#waiters.delete(reply.id);
    clearTimeout(waiter.timer);
    if (reply.error === undefined) waiter.resolve(reply.result);
    else waiter.reject(new Error(reply.error));
  }

  #end(how: string): void {
    this.#ended ??= how;
    for (const { reject, timer } of this.#waiters.values()) {
      clearTimeout(timer);
      reject(new Error(how));
    }
    this.#waiters.clear();
  }

  #fault(method: string, what: string): Error {
    return new Error(`${this.#title}, ${method}: ${what}${this.#output === "" ? "" : `\n${this.#output}`}`);
  }
}

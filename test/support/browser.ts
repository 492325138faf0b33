import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const places = [
  process.env["CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** A Chromium of this machine, if it has one. */
export const chromium = places.find((place) => place !== undefined && existsSync(place));

interface Reply {
  readonly id?: number;
  readonly result?: { readonly result?: { readonly value?: unknown }; readonly exceptionDetails?: object };
  readonly error?: { readonly message: string };
}

/** A page in a real browser, driven over the DevTools protocol. */
export class BrowserPage {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #lastId = 0;

  private constructor(process: ChildProcess, folder: string, socket: WebSocket) {
    this.#process = process;
    this.#folder = folder;
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const reply: Reply = JSON.parse(String(data));
      if (reply.id !== undefined) this.#waiting.get(reply.id)?.(reply);
    });
  }

  /** Starts the browser, and opens the address. */
  static async open(url: string): Promise<BrowserPage> {
    if (chromium === undefined) throw new Error("this machine has no Chromium");
    const folder = mkdtempSync(join(tmpdir(), "sustenet-browser-"));
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
    const browser = spawn(chromium, [...flags, "--remote-debugging-port=0", `--user-data-dir=${folder}`, url], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let port: string | undefined;
    for await (const line of createInterface({ input: browser.stderr })) {
      port = /^DevTools listening on ws:\/\/127\.0\.0\.1:(\d+)\//.exec(line)?.[1];
      if (port !== undefined) break;
    }
    browser.stderr.resume();
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}/json`);
      const targets: { type: string; url: string; webSocketDebuggerUrl: string }[] = JSON.parse(await answer.text());
      const target = targets.find((each) => each.type === "page" && each.url.startsWith(url));
      if (target === undefined) continue;
      const socket = new WebSocket(target.webSocketDebuggerUrl);
      await new Promise((resolve, reject) => {
        socket.addEventListener("open", resolve, { once: true });
        socket.addEventListener("error", reject, { once: true });
      });
      return new BrowserPage(browser, folder, socket);
    }
  }

  /** What an expression is worth in the page; it has to be plain. */
  async evaluate(expression: string): Promise<unknown> {
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve } = Promise.withResolvers<Reply>();
    this.#waiting.set(id, resolve);
    const params = { expression, awaitPromise: true, returnByValue: true };
    this.#socket.send(JSON.stringify({ id, method: "Runtime.evaluate", params }));
    const { result, error } = await promise;
    this.#waiting.delete(id);
    if (error !== undefined || result?.exceptionDetails !== undefined) {
      throw new Error(`the page throws: ${JSON.stringify(error ?? result?.exceptionDetails)}`);
    }
    return result?.result?.value;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => {
      this.#process.once("exit", resolve);
    });
    this.#socket.close();
    this.#process.kill("SIGKILL");
    await ended;
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

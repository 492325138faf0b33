import { Log, LogLevel, Miniflare } from "miniflare";
import { guardChildren } from "./child-guard.ts";
import { freePort, isPortFree } from "./ports.ts";
import { workerOptions } from "./worker-bundle.ts";

export interface LocalWorker {
  readonly url: string;
  dispose(): Promise<void>;
}

const host = "127.0.0.1";
const defaultPort = 6256;
/** Between finding a free port and binding it another process may take it. */
const maxTries = 5;

/**
 * Runs a bundle in workerd. A port that was asked for is used or refused; without one it is the default, or a free one where
 * that is taken. Which one is free, only binding it shows: so it is bound, and another one tried when that fails.
 *
 * @throws Error that says in one line that the port is taken
 */
export async function startWorker(options: {
  readonly entry: string;
  readonly bindings: Readonly<Record<string, string>>;
  readonly persistDir: string;
  /** 0 means any. */
  readonly port: number | undefined;
  readonly say: (text: string) => void;
  /** Takes the Worker's log, and what workerd says, line by line. */
  readonly log: (line: string) => void;
}): Promise<LocalWorker> {
  const { say } = options;
  const asked = options.port === 0 ? undefined : options.port;
  let port = asked ?? (options.port === 0 ? await freePort(host) : defaultPort);
  for (let tries = 1; ; tries++) {
    const worker = (await isPortFree(host, port)) ? await tryPort(port, options) : undefined;
    if (worker !== undefined) return worker;
    if (asked !== undefined) {
      throw new Error(`port ${port} is taken: stop what uses it, or name another with --port N (0: any that is free)`);
    }
    if (tries === maxTries) throw new Error("no port stayed free for long enough: name one with --port N");
    const other = await freePort(host);
    say(`master: port ${port} is taken; trying ${other} instead`);
    port = other;
  }
}

/** `undefined` when the port is taken. */
async function tryPort(
  port: number,
  options: {
    readonly entry: string;
    readonly bindings: Readonly<Record<string, string>>;
    readonly persistDir: string;
    readonly log: (line: string) => void;
  },
): Promise<LocalWorker | undefined> {
  const url = `http://${host}:${port}`;
  const { entry, persistDir, log } = options;
  const bindings = { ...options.bindings, MASTER_URL: url };
  const miniflare = new Miniflare({
    ...workerOptions({ entry, bindings, host, port, persistDir }),
    log: new Log(LogLevel.WARN),
    handleStructuredLogs: ({ message }) => log(message),
  });
  try {
    // It starts workerd in a later turn.
    await guardChildren(() => miniflare.ready.then(() => undefined));
    return { url, dispose: () => miniflare.dispose() };
  } catch (error) {
    await miniflare.dispose().catch(() => undefined);
    const isTold = error instanceof Error && "code" in error && error.code === "ERR_ADDRESS_IN_USE";
    // Two that bind in the same moment both may: the one that is refused only when it listens is told another error.
    if (isTold || !(await isPortFree(host, port))) return undefined;
    throw error;
  }
}

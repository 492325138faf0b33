import { type ChildProcess, fork } from "node:child_process";
import { createInterface } from "node:readline";

/** A child process of this stack, in a process group of its own so that Ctrl-C reaches the parent alone. */
export interface StackProcess {
  readonly title: string;
  readonly child: ChildProcess;
  readonly pid: number;
  /** Resolves when it has ended, with its exit code or the signal's name. */
  readonly ended: Promise<string>;
  /** Asks it to end, and ends its whole group if it has not by the deadline. */
  stop(deadlineMs?: number): Promise<void>;
}

/** Groups of processes that have not ended, by the id of their first. */
const running = new Set<number>();

/** The environment of the parent process plus `environment`. Each line of output goes to `onLine`, each IPC message to `onMessage`. */
export function startProcess(options: {
  readonly title: string;
  readonly file: string;
  readonly args?: readonly string[];
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
  readonly onMessage?: (message: unknown) => void;
  /** Whether to ask it to end by closing the IPC channel instead of by SIGTERM. */
  readonly endsOnDisconnect?: boolean;
}): StackProcess {
  const child = fork(options.file, options.args ?? [], {
    cwd: options.cwd,
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: { ...process.env, ...options.environment },
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${options.title}: could not be started`);
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on("line", options.onLine);
  }
  if (options.onMessage !== undefined) child.on("message", options.onMessage);
  running.add(pid);
  const ended = new Promise<string>((resolve) => {
    child.on("exit", (code, signal) => {
      running.delete(pid);
      // What it started must not outlive it: workerd, for one, survives a parent that is killed.
      killGroup(pid);
      resolve(signal ?? String(code));
    });
  });
  return {
    title: options.title,
    child,
    pid,
    ended,
    stop: async (deadlineMs = 15_000) => {
      if (!running.has(pid)) return;
      if (options.endsOnDisconnect === true && child.connected) child.disconnect();
      else child.kill("SIGTERM");
      const timer = setTimeout(() => killGroup(pid), deadlineMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Ends a process and everything that it started, at once. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

/** Ends every process that was started here, and all that they started, at once: workerd outlives a parent that is killed. */
export function killAll(): void {
  for (const pid of running) killGroup(pid);
}

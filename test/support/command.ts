import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

const root = join(import.meta.dirname, "../..");

/** A program under test, with all that it has printed. */
export interface RunningCommand {
  readonly child: ChildProcess;
  readonly stdout: string[];
  readonly stderr: string[];
  /** The exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
  /** The first line of either stream that matches, printed already or yet to come. */
  line(pattern: RegExp, timeoutMs?: number): Promise<RegExpMatchArray>;
}

interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a TypeScript file of this package in a process of its own. */
export function startCommand(file: string, args: readonly string[], options: CommandOptions = {}): RunningCommand {
  return watch(
    spawn(process.execPath, [join(root, file), ...args], {
      cwd: options.cwd ?? root,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
}

/**
 * Runs lines of shell as a person would type them, stopping at the first that fails: without the programs that this test's
 * own runner has put on the path. The process leads a group, which has all that it starts.
 */
export function startShell(script: string, options: CommandOptions = {}): RunningCommand {
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => !folder.includes("node_modules"));
  return watch(
    spawn("bash", ["-e", "-c", script], {
      cwd: options.cwd ?? root,
      env: { ...process.env, PATH: path.join(delimiter), ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    }),
  );
}

function watch(child: ChildProcessByStdio<null, Readable, Readable>): RunningCommand {
  const stdout: string[] = [];
  const stderr: string[] = [];
  const watchers = new Set<() => void>();
  const collect = (stream: NodeJS.ReadableStream, into: string[]): void => {
    createInterface({ input: stream }).on("line", (line) => {
      into.push(line);
      for (const watcher of watchers) watcher();
    });
  };
  collect(child.stdout, stdout);
  collect(child.stderr, stderr);
  const ended = new Promise<number | string>((resolve) => {
    child.on("close", (code, signal) => resolve(signal ?? code ?? -1));
  });
  const search = (pattern: RegExp): RegExpMatchArray | undefined => {
    for (const line of [...stdout, ...stderr]) {
      const match = line.match(pattern);
      if (match !== null) return match;
    }
    return undefined;
  };
  return {
    child,
    stdout,
    stderr,
    ended,
    line: (pattern, timeoutMs = 60_000) =>
      new Promise((resolve, reject) => {
        const describe = (): string => `${pattern} was not printed. Printed:\n${[...stdout, ...stderr].join("\n")}`;
        const finish = (): void => {
          clearTimeout(timer);
          watchers.delete(watcher);
        };
        const watcher = (): void => {
          const match = search(pattern);
          if (match === undefined) return;
          finish();
          resolve(match);
        };
        const timer = setTimeout(() => {
          finish();
          reject(new Error(describe()));
        }, timeoutMs);
        watchers.add(watcher);
        void ended.then(() => {
          watcher();
          finish();
          reject(new Error(describe()));
        });
        watcher();
      }),
  };
}

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createClusterKey } from "../keys/cluster-key.ts";
import { FakeMaster } from "./fake-master.ts";
import type { TestTarget } from "./test-client.ts";
import { until } from "./until.ts";

/** A program that runs, and what it has said so far. */
export interface ProgramRun {
  readonly child: ChildProcess;
  out: string;
  err: string;
  /** `undefined` while it runs, null when a signal has ended it. */
  exitCode: number | null | undefined;
}

export interface RunOptions {
  readonly program?: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

const example = join(import.meta.dirname, "../../examples/minimal/cluster.ts");

/** Runs programs with a cluster in them as processes of their own, in a folder of theirs, at a fake master. */
export class ProgramRunner {
  readonly folder: string;
  readonly master: FakeMaster;
  readonly #running: ProgramRun[] = [];

  private constructor(folder: string, master: FakeMaster) {
    this.folder = folder;
    this.master = master;
  }

  static async create(): Promise<ProgramRunner> {
    return new ProgramRunner(await mkdtemp(join(tmpdir(), "sustenet-")), await new FakeMaster().start());
  }

  /** A Config.toml that does, with more lines for its `[cluster]`. */
  config(...lines: readonly string[]): string {
    const cluster = [`master_url = "${this.master.url}"`, 'host = "127.0.0.1"', ...lines];
    return `[all]\nport = "free"\n[cluster]\n${cluster.join("\n")}\n`;
  }

  /** Writes a program that starts this plugin, an expression in TypeScript. */
  async write(plugin: string): Promise<string> {
    const program = join(this.folder, "program.ts");
    const face = pathToFileURL(join(import.meta.dirname, "../index.ts")).href;
    await writeFile(program, `import { start } from ${JSON.stringify(face)};\nawait start(${plugin});\n`);
    return program;
  }

  /** Makes a key and makes it known to the master. */
  async enrol(): Promise<void> {
    const { keyId, publicKey } = await createClusterKey(join(this.folder, "keys"), "cluster_key");
    this.master.enrolled.set(keyId, publicKey);
  }

  async run(toml: string, { program = example, args = [], environment = {} }: RunOptions = {}): Promise<ProgramRun> {
    await writeFile(join(this.folder, "Config.toml"), toml);
    const child = spawn(process.execPath, [program, ...args], {
      cwd: this.folder,
      env: { ...process.env, ...environment },
    });
    const made: ProgramRun = { child, out: "", err: "", exitCode: undefined };
    this.#running.push(made);
    child.stdout.on("data", (data: Buffer) => (made.out += data.toString()));
    child.stderr.on("data", (data: Buffer) => (made.err += data.toString()));
    child.on("close", (code) => (made.exitCode = code));
    return made;
  }

  /** The log lines with this event. */
  events(run: ProgramRun, event: string): readonly Readonly<Record<string, unknown>>[] {
    return `${run.out}${run.err}`
      .split("\n")
      .filter((line) => line.startsWith("{") && line.endsWith("}"))
      .map((line): unknown => JSON.parse(line))
      .flatMap((entry) => (isRecord(entry) && entry["event"] === event ? [entry] : []));
  }

  /** Waits for so many log lines with this event, and gives the last. */
  async event(run: ProgramRun, event: string, count = 1): Promise<Readonly<Record<string, unknown>>> {
    return until(
      `the event ${event}`,
      () => {
        const found = this.events(run, event);
        if (found.length >= count) return found.at(-1);
        if (run.exitCode !== undefined) throw new Error(`ended with ${run.exitCode} before: ${run.out}${run.err}`);
        return undefined;
      },
      40_000,
    );
  }

  /** Where an instance listens, by its newest registration. */
  target(instance = "main"): TestTarget {
    const registration = this.master.registrations.findLast((candidate) => candidate.instance === instance);
    if (registration === undefined) throw new Error(`${instance} did not register`);
    const { port, tls } = registration;
    return { port, serverName: tls.serverName, caPem: tls.caPem };
  }

  /** Waits until it has ended. */
  async ended(run: ProgramRun, timeoutMs = 40_000): Promise<number | null> {
    await until("the end of the process", () => run.exitCode !== undefined, timeoutMs);
    return run.exitCode ?? null;
  }

  /** Ends what still runs: a supervisor's instances end by themselves once it is gone. */
  async remove(): Promise<void> {
    for (const { child } of this.#running) child.kill("SIGKILL");
    for (const run of this.#running) await until("the end", () => run.exitCode !== undefined, 30_000);
    await this.master.stop();
    await rm(this.folder, { recursive: true });
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

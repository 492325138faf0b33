import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import { z } from "zod";

/** Who may have a state folder to itself: `stack` is `npm start` with its clusters, `master` the databases and objects. */
export type StatePart = "stack" | "master";

export interface StateLock {
  release(): void;
}

const holderSchema = z.object({ pid: z.number().int(), command: z.string() });
type Holder = z.infer<typeof holderSchema>;

/** What is forgotten is collected, and its lock goes with it. */
const held = new Set<Database.Database>();

/**
 * Takes a part of a state folder for this process, until `release` or the end of the process, however it ends: the lock is
 * SQLite's on an empty file, which the system drops with its owner. There is nothing stale to clean up after.
 *
 * @throws Error that says in one line who holds it, or why it cannot be taken
 */
export function lockState(stateDir: string, part: StatePart, holder: Holder): StateLock {
  const holderFile = join(stateDir, `${part}.pid`);
  let database: Database.Database | undefined;
  try {
    database = new Database(join(stateDir, `${part}.lock`), { timeout: 0 });
    database.exec("BEGIN EXCLUSIVE");
    writeFileSync(holderFile, JSON.stringify(holder));
  } catch (error) {
    database?.close();
    if (error instanceof Error && "code" in error && error.code === "SQLITE_BUSY") {
      throw new Error(
        `the state folder ${stateDir} is in use by ${readHolder(holderFile)}: stop that first, or name another folder with --state DIR`,
        { cause: error },
      );
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `the state folder ${stateDir} cannot be used (${reason}): name another with --state DIR, or mend its permissions`,
      { cause: error },
    );
  }
  const taken = database;
  held.add(taken);
  return {
    release: () => {
      held.delete(taken);
      taken.close();
    },
  };
}

/** The holder writes its name right after it has the lock: for a moment there may be none, or that of the one before. */
function readHolder(file: string): string {
  try {
    const { pid, command } = holderSchema.parse(JSON.parse(readFileSync(file, "utf8")));
    return `process ${pid} (${command})`;
  } catch {
    return "another process";
  }
}

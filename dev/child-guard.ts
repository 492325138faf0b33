import { ChildProcess, spawn } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { killGroup } from "./process.ts";

/** On which Node tells of each process that is started here. */
const channel = "child_process";

/**
 * Runs `make`, and has every process that it starts end with this one, however that ends: whoever is killed can end nothing itself, and
 * its workerd would go on at its port and in its folder, beside the next one's. Where there is no `sh`, as on Windows, they are left alone.
 */
export async function guardChildren<T>(make: () => Promise<T>): Promise<T> {
  if (process.platform === "win32") return make();
  let isOurs = false;
  const onChild = (message: unknown): void => {
    const child = childOf(message);
    if (isOurs || child === undefined) return;
    child.once("spawn", () => {
      isOurs = true;
      guard(child);
      isOurs = false;
    });
  };
  subscribe(channel, onChild);
  try {
    return await make();
  } finally {
    unsubscribe(channel, onChild);
  }
}

function childOf(message: unknown): ChildProcess | undefined {
  if (typeof message !== "object" || message === null || !("process" in message)) return undefined;
  return message.process instanceof ChildProcess ? message.process : undefined;
}

/** A shell in a group of its own, which no Ctrl-C reaches, waits for the end of a pipe that this process alone holds open. */
function guard(child: ChildProcess): void {
  const script = 'cat > /dev/null; kill -9 "$0"';
  const shell = spawn("/bin/sh", ["-c", script, String(child.pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  shell.on("error", () => undefined);
  shell.unref();
  child.once("exit", () => {
    if (shell.pid !== undefined) killGroup(shell.pid);
  });
}

import { join } from "node:path";
import { startProcess, type StackProcess } from "../../dev/process.ts";

/** Starts one of the services that the master calls as a process of its own (service.ts), and resolves when it answers. */
export async function startService(
  kind: "database" | "identity",
  options: {
    readonly port: number;
    readonly file: string;
    /** What it asks for: the database's token; the identity service's publishable and secret keys. */
    readonly keys: readonly string[];
    readonly onLine: (line: string) => void;
  },
): Promise<StackProcess> {
  const { port, file, keys, onLine } = options;
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  const lines: string[] = [];
  const service = startProcess({
    title: kind,
    file: join(import.meta.dirname, "service.ts"),
    args: [kind, String(port), file, ...keys],
    onLine: (line) => {
      if (line === "ready") return resolve();
      lines.push(line);
      onLine(line);
    },
  });
  const ended = service.ended.then((how) => Promise.reject(new Error([`${kind} ended (${how})`, ...lines].join("\n"))));
  ended.catch(() => undefined);
  await Promise.race([ready, ended]);
  return service;
}

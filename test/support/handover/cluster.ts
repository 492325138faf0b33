/**
 * A cluster process of the handover's audit: the ledger game, its calls to the master delayed, and an eye on each step of a handover.
 * `SUSTENET_CONFIG=FILE node cluster.ts DELAY_MS [KILL_AT]`; at the step KILL_AT the process kills itself, without a word.
 */
import { createCluster, createLogger, loadSettings } from "../../../data-plane/index.ts";
import { Ledger } from "./ledger.ts";

const [delay = "0", killAt = ""] = process.argv.slice(2);
const delayMs = Number(delay);
const { fetch } = globalThis;

process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
process.on("SIGTERM", () => void cluster.stop().finally(() => process.exit(0)));

function tell(message: object): void {
  process.send?.(message);
}

/** A step of a handover is reached here. The parent may hold it up: it goes on when that says so. */
function reach(step: string): void {
  if (step === killAt) process.kill(process.pid, "SIGKILL");
  tell({ event: "step", step });
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

// Between this cluster and the master there is no proxy, as an assertion names the master's own URL.
globalThis.fetch = async (input, init) => {
  const isCommit = typeof init?.body === "string" && init.body.includes('"type":"commit"');
  if (isCommit) reach("commit-asked");
  await pause(delayMs);
  const response = await fetch(input, init);
  await pause(delayMs);
  if (isCommit) reach("commit-answered");
  return response;
};

const { settings } = loadSettings({
  file: process.env["SUSTENET_CONFIG"] ?? "Config.toml",
  fileMustExist: true,
  environment: {},
});
const cluster = createCluster({
  settings,
  plugin: new Ledger((report) => {
    tell(report);
    if (report.event !== "fault") reach(report.event);
  }),
  logger: createLogger(settings.logLevel),
});
await cluster.start();
cluster.peers?.listen({
  onUp: (peer) => tell({ event: "linked", peer }),
  onDown: () => undefined,
  onMessage: (_from, { type }) => reach(type),
});
const registration = await cluster.registered;
tell({ event: "ready", clusterId: registration.clusterId, port: cluster.address?.port, boot: registration.boot });
setInterval(() => tell({ event: "counts", counts: cluster.metrics.handovers }), 250);

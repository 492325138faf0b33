/**
 * A cluster process of the handover's audit: the ledger game, its calls to the master delayed, and an eye on each step of a handover.
 * `SUSTENET_CONFIG=FILE node cluster.ts DELAY_MS`. The parent may say `{kill: STEP}`: then the process kills itself there, without a word; or
 * `{hold: STEP}`: then a call to the master waits there for `{go: true}`, or fails, for `{go: false}`; `{together: [[PLAYER, …], …]}`: who goes to
 * another cluster with whom; `{refuses: SEED}`: from then on some handovers are refused by the game, or none, for `{refuses: null}`.
 */
import { createCluster, createLogger, loadSettings } from "../../../data-plane/index.ts";
import { Ledger } from "./ledger.ts";

const delayMs = Number(process.argv[2] ?? 0);
let killAt: unknown;
let holdAt: unknown;
let release: (goes: boolean) => void = () => undefined;
const { fetch } = globalThis;

process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
process.on("SIGTERM", () => void cluster.stop().finally(() => process.exit(0)));

function tell(message: object): void {
  process.send?.(message);
}

process.on("message", (message) => {
  if (typeof message !== "object" || message === null) return;
  if ("kill" in message) killAt = message.kill;
  else if ("hold" in message) holdAt = message.hold;
  else if ("go" in message) release(message.go === true);
  else if ("together" in message && Array.isArray(message.together)) ledger.keepTogether(message.together);
  else if ("refuses" in message) ledger.refuse(typeof message.refuses === "number" ? message.refuses : undefined);
});

/** A step of a handover is reached here. */
function reach(step: string): void {
  if (step === killAt) process.kill(process.pid, "SIGKILL");
  tell({ event: "step", step });
}

/** The same, of a call to the master: the parent may hold it up, and have it fail. */
async function reachHeld(step: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const isHeld = step === holdAt;
  holdAt = isHeld ? undefined : holdAt;
  release = isHeld ? resolve : release;
  reach(step);
  if (isHeld && !(await promise)) throw new Error("the master is gone");
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

// Between this cluster and the master there is no proxy, as an assertion names the master's own URL.
globalThis.fetch = async (input, init) => {
  const isCommit = typeof init?.body === "string" && init.body.includes('"type":"commit"');
  if (isCommit) await reachHeld("commit-asked");
  await pause(delayMs);
  const response = await fetch(input, init);
  await pause(delayMs);
  if (isCommit) await reachHeld("commit-answered");
  return response;
};

const { settings } = loadSettings({
  file: process.env["SUSTENET_CONFIG"] ?? "Config.toml",
  fileMustExist: true,
  environment: {},
});
const ledger = new Ledger((report) => {
  tell(report);
  if (report.event === "plays" || report.event === "rests") reach(report.event);
});
const cluster = createCluster({
  settings,
  plugin: ledger,
  logger: createLogger(settings.logLevel),
});
void cluster.drained.then(() => process.kill(process.pid, "SIGTERM"));
await cluster.start();
cluster.peers?.listen({
  onUp: (peer) => tell({ event: "linked", peer }),
  onDown: () => undefined,
  onMessage: (_from, { type }) => reach(type),
});
const registration = await cluster.registered;
tell({ event: "ready", clusterId: registration.clusterId, port: cluster.address?.port, boot: registration.boot });
setInterval(() => tell({ event: "counts", counts: cluster.metrics.handovers }), 250);

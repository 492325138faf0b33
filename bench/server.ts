/** A process with one server under measurement. Called over IPC by the harness. */
import { writeFileSync } from "node:fs";
import { type Profiler, Session } from "node:inspector/promises";
import { z } from "zod";
import { serveCalls } from "./calls.ts";
import { type Contender, type ServerOptions, serverOptions, tickWork } from "./contenders/contender.ts";

let contender: Contender | undefined;
let session: Session | undefined;

serveCalls({
  start: async (params) => {
    contender = await start(serverOptions.parse(params));
    return { port: contender.port };
  },
  players: () => started().players(),
  world: () => started().world?.() ?? null,
  work: (params) => started().setWork(tickWork.optional().parse(params ?? undefined)),
  /** Microseconds of CPU that all threads of this process have used so far. */
  cpu: () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  /** Bytes in memory once everything that is garbage has gone. */
  rss: async () => {
    for (let round = 0; round < 5; round++) {
      globalThis.gc?.();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return process.memoryUsage.rss();
  },
  startProfile: async () => {
    session = new Session();
    session.connect();
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: 200 });
    await session.post("Profiler.start");
  },
  stopProfile: async (params) => {
    if (session === undefined) return;
    const { profile }: { profile: Profiler.Profile } = await session.post("Profiler.stop");
    session.disconnect();
    writeFileSync(z.string().parse(params), JSON.stringify(profile));
  },
});

function started(): Contender {
  if (contender === undefined) throw new Error("not started");
  return contender;
}

/** Each contender's code is loaded only where it runs: it must not weigh on the memory of the others. */
async function start(options: ServerOptions): Promise<Contender> {
  switch (options.contender) {
    case "sustenet":
      return (await import("./contenders/sustenet.ts")).startSustenet(options, false);
    case "sustenet-state":
      return (await import("./contenders/sustenet.ts")).startSustenet(options, true);
    case "raw-tls":
      return (await import("./contenders/raw-tls.ts")).startRawTls(options, false);
    case "raw-tls-one-write":
      return (await import("./contenders/raw-tls.ts")).startRawTls(options, true);
    case "sustenet-world":
      return (await import("./contenders/sustenet-world.ts")).startSustenetWorld(options, false);
    case "sustenet-crowd":
      return (await import("./contenders/sustenet-world.ts")).startSustenetWorld(options, true);
    case "raw-tls-world":
      return (await import("./contenders/raw-tls.ts")).startRawTls(options, true, false);
    case "raw-wss":
      return (await import("./contenders/raw-wss.ts")).startRawWss(options);
    case "colyseus-wss":
      return (await import("./contenders/colyseus.ts")).startColyseus(options, true);
    case "colyseus-ws":
      return (await import("./contenders/colyseus.ts")).startColyseus(options, false);
    case "colyseus-world":
      return (await import("./contenders/colyseus-world.ts")).startColyseusWorld(options);
  }
}

/** The master as it is deployed, and beside it, in the same isolate, what it is compared with. Only the benchmarks run this. */
import { Hono } from "hono";
import master, { RegistryShard as MasterShard } from "../../../control-plane/worker.ts";
import { allocateBare } from "./bare.ts";

export * from "../../../control-plane/worker.ts";
export { BarePlayer, BareShard } from "./bare.ts";

/** How often something has woken a shard. */
const wakes = { constructions: 0, alarms: 0, messages: 0, closes: 0 };

export class RegistryShard extends MasterShard {
  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    wakes.constructions += 1;
  }

  override async alarm(): Promise<void> {
    wakes.alarms += 1;
    return super.alarm();
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    wakes.messages += 1;
    return super.webSocketMessage(socket, message);
  }

  override webSocketClose(
    ...closed: Parameters<MasterShard["webSocketClose"]>
  ): ReturnType<MasterShard["webSocketClose"]> {
    wakes.closes += 1;
    return super.webSocketClose(...closed);
  }
}

const hello = new Hono().get("/bench/hello", (context) => context.text("hello"));

export default {
  fetch: (request, env, context) => {
    if (request.url.endsWith("/bench/hello")) return hello.fetch(request);
    if (request.url.endsWith("/bench/bare")) return allocateBare(request, env);
    if (request.url.endsWith("/bench/wakes")) return Response.json(wakes);
    return master.fetch(request, env, context);
  },
} satisfies ExportedHandler<Env>;

import { z } from "zod";

const callSchema = z.object({ id: z.number(), method: z.string(), params: z.unknown() });

export type Methods = Readonly<Record<string, (params: unknown) => unknown>>;

/** Answers the calls of the parent process (child.ts), and ends this process when the parent is gone. */
export function serveCalls(methods: Methods): void {
  process.on("disconnect", () => process.exit(0));
  process.on("message", (message: unknown) => {
    void answer(methods, callSchema.parse(message));
  });
}

async function answer(methods: Methods, call: z.infer<typeof callSchema>): Promise<void> {
  const { id, method, params } = call;
  try {
    const run = methods[method];
    if (run === undefined) throw new Error("no such method");
    process.send?.({ id, result: await run(params) });
  } catch (error) {
    process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

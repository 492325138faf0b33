import { createServer } from "node:net";

/** `preferred` if it is free at `host`, otherwise a free port; 0 means any. */
export async function findPort(host: string, preferred: number): Promise<number> {
  return (await tryPort(host, preferred)) ?? (await tryPort(host, 0)) ?? fail(host);
}

function tryPort(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", () => resolve(undefined));
    server.listen(port, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? address?.port : undefined));
    });
  });
}

function fail(host: string): never {
  throw new Error(`no free port at ${host}`);
}

import { type HttpListener, type HttpReply, type HttpRequest, startHttpListener } from "../libsql/http-listener.ts";

const maxBodyBytes = 65_536;

/** Starts an HTTP server that answers by `handle`, on loopback, for a stand-in. */
export async function startJsonListener(
  name: string,
  port: number | undefined,
  handle: (request: HttpRequest) => HttpReply | Promise<HttpReply>,
): Promise<HttpListener> {
  return startHttpListener({
    name,
    host: "127.0.0.1",
    port: port ?? 0,
    maxBodyBytes,
    handle: async (request) => handle(request),
    tooLarge: () => ({ status: 413 }),
    failed: () => ({ status: 500 }),
  });
}

export function jsonReply(body: unknown, status = 200): HttpReply {
  return { status, headers: { "content-type": "application/json; charset=UTF-8" }, body: JSON.stringify(body) };
}

/** What Steam says to requests that are not right. */
export function htmlReply(status: number, title: string, text: string): HttpReply {
  const body = `<html><head><title>${title}</title></head><body><h1>${title}</h1>${text}</body></html>`;
  return { status, headers: { "content-type": "text/html; charset=UTF-8" }, body };
}

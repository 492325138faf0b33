import { createServer, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { explainNoAnswer } from "./no-answer.ts";

const closings: (() => void)[] = [];
afterEach(() => {
  for (const close of closings.splice(0)) close();
});

/** Something that listens and is no master. */
function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    onSocket(socket);
  });
  closings.push(() => server.close());
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

async function explain(url: string, timeoutMs = 5_000): Promise<string> {
  try {
    await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    return "answered";
  } catch (error) {
    return explainNoAnswer(error, timeoutMs);
  }
}

it("says that what answers speaks no HTTP", async () => {
  const port = await listen((socket) => socket.end("SSH-2.0-OpenSSH_9.6\r\n"));
  expect(await explain(`http://127.0.0.1:${port}/`)).toBe("what answers there does not speak HTTP");
});

it("says that what answers speaks no TLS", async () => {
  const port = await listen((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  expect(await explain(`https://127.0.0.1:${port}/`)).toBe("what answers there does not speak TLS: is https:// right?");
});

it("says that it hangs up", async () => {
  const port = await listen((socket) => socket.end());
  expect(await explain(`http://127.0.0.1:${port}/`)).toMatch(/^it ended the connection/);
});

it("says that nobody is there, or that nobody is called there", async () => {
  expect(await explain("http://127.0.0.1:6666/")).toBe("browsers and fetch call nobody at that port");
  const port = await listen(() => undefined);
  for (const close of closings.splice(0)) close();
  expect(await explain(`http://127.0.0.1:${port}/`)).toBe("nothing listens there");
});

it("says for how long it waited", async () => {
  const port = await listen((socket) => closings.push(() => socket.destroy()));
  expect(await explain(`http://127.0.0.1:${port}/`, 50)).toBe("no answer within 0.05 s");
});

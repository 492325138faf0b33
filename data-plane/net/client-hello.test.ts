import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../testing/until.ts";
import { awaitClientHello } from "./client-hello.ts";

let server: Server;
let client: Socket;
let accepted: Socket | undefined;
let verdicts: boolean[];

beforeEach(async () => {
  verdicts = [];
  accepted = undefined;
  server = createServer({ highWaterMark: 1 }, (socket) => {
    accepted = socket;
    socket.on("error", () => undefined);
    awaitClientHello(socket, (sound) => verdicts.push(sound));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  client = connect({ port: address !== null && typeof address !== "string" ? address.port : 0, noDelay: true });
  client.on("error", () => undefined);
  await until("the connection", () => accepted !== undefined);
});
afterEach(() => {
  client.destroy();
  accepted?.destroy();
  server.close();
});

/** A first record whose body has so many bytes. */
const record = (length: number): Buffer =>
  Buffer.concat([Uint8Array.of(0x16, 3, 1, length >> 8, length & 0xff), Buffer.alloc(length, 7)]);

describe("awaitClientHello", () => {
  it.each([
    ["short", 1],
    ["usual", 517],
    ["the longest", 16_384],
  ])("waits for the whole record, and leaves it and what follows in the socket: %s", async (_what, length) => {
    client.write(record(length).subarray(0, -1));
    await until("its arrival", () => (accepted?.bytesRead ?? 0) > 0);
    expect(verdicts).toEqual([]);
    client.write(Uint8Array.of(7, 8, 9));
    await until("the verdict", () => verdicts.length > 0);
    expect(verdicts).toEqual([true]);
    const chunks: unknown[] = [];
    accepted?.on("data", (chunk) => chunks.push(chunk));
    const expected = Buffer.concat([record(length), Uint8Array.of(8, 9)]);
    const gathered = (): Buffer => Buffer.concat(chunks.filter((chunk) => Buffer.isBuffer(chunk)));
    await until("everything", () => gathered().length === expected.length);
    expect(gathered().equals(expected)).toBe(true);
  });

  it.each([
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["another record", Uint8Array.of(0x17, 3, 3, 0, 5)],
    ["an empty record", Uint8Array.of(0x16, 3, 1, 0, 0)],
    ["a record of 16,385 bytes", Uint8Array.of(0x16, 3, 1, 0x40, 0x01)],
  ])("[NET-2] knows at once what is no TLS: %s", async (_what, bytes) => {
    client.write(bytes);
    await until("the verdict", () => verdicts.length > 0);
    expect(verdicts).toEqual([false]);
  });

  it("[NET-2] does not read what drips in, save now and then", async () => {
    client.write(record(16_384).subarray(0, 5));
    await until("its head", () => accepted?.bytesRead === 5);
    let reads = 0;
    let before = 5;
    const drip = setInterval(() => client.write(Uint8Array.of(7)), 2);
    const watch = setInterval(() => {
      if (accepted?.bytesRead !== before) reads += 1;
      before = accepted?.bytesRead ?? 0;
    }, 1);
    await until("many drops", () => client.bytesWritten > 200);
    clearInterval(drip);
    clearInterval(watch);
    // Looks double their distance: 20, 40, 80, 160, 320 ms; each is followed by one read ahead.
    expect(reads).toBeLessThan(24);
  });
});

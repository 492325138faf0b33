import { connect } from "node:tls";
import {
  type Allocation,
  closeCodeName,
  decodeClusterMessage,
  encodeHello,
  encodeJoin,
  FrameParser,
  limits,
} from "../../protocol/index.ts";

const timeoutMs = 30_000;

/**
 * Presents a ticket at a cluster over a socket of its own, with nothing but the protocol: `"WELCOME"`, the code of REJECT, or
 * `"closed without a word"`. The connection is closed afterwards.
 */
export function knock(cluster: Allocation["cluster"], ticket: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { host, port, tls } = cluster;
    const socket = connect({ host, port, ca: tls.caPem, servername: tls.serverName });
    const parser = new FrameParser(limits.maxFrameBytes);
    const finish = (answer: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error("no answer"));
    }, timeoutMs);
    socket.on("secureConnect", () => {
      socket.write(encodeHello({ minVersion: 1, maxVersion: 1, features: 0, client: "knock" }));
      socket.write(encodeJoin({ ticket }));
    });
    socket.on("data", (piece) => {
      parser.push(piece, (frame) => {
        const message = decodeClusterMessage(frame);
        if (message.type === "welcome") finish("WELCOME");
        if (message.type === "reject") finish(closeCodeName(message.code) ?? String(message.code));
        return false;
      });
    });
    socket.on("error", () => undefined);
    socket.on("close", () => finish("closed without a word"));
  });
}

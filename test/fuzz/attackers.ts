/**
 * Slow attackers in a process of their own, started with an IPC channel and `PORT WEBSOCKET_PORT SERVER_NAME COUNT`: sockets
 * from many loopback addresses, opened again as soon as they are cut off. It says every 200 ms how many are open, and ends
 * when the channel does.
 */
import { connect, type Socket } from "node:net";
import { setPriority } from "node:os";
import { connect as connectTls } from "node:tls";

const [port = 0, webSocketPort = 0, , count = 0] = process.argv.slice(2).map(Number);
const serverName = process.argv[4] ?? "";
/** Few sockets from each address: so the charge for failures does not turn them away. */
const addresses = 1_000;
const dripMs = 250;
/** They come one after the other, so that the cluster always has them all, and in every stage. */
const arriveWithinMs = 5_000;
const reopenWithinMs = 100;
/** The drops fall evenly. */
const dripParts = 25;

/** The head of a TLS record that announces more than will ever come. */
const recordHead = Uint8Array.of(0x16, 0x03, 0x01, 0x40, 0x00);

// They would be elsewhere: here they must not take the time of those whom they attack, other than through the cluster.
setPriority(10);

let open = 0;
const dripping = new Map<Socket, Uint8Array>();

for (let index = 0; index < count; index += 1) {
  setTimeout(() => attack(index), Math.random() * arriveWithinMs);
}
let part = 0;
setInterval(() => {
  part = (part + 1) % dripParts;
  let number = 0;
  for (const [socket, byte] of dripping) {
    number += 1;
    if (number % dripParts === part && socket.writable) socket.write(byte);
  }
}, dripMs / dripParts);
setInterval(() => process.send?.({ open }), 200);
process.on("disconnect", () => process.exit(0));

function attack(index: number): void {
  const address = index % addresses;
  const overWebSocket = index % 7 === 0;
  const tcp = connect({
    host: "127.0.0.1",
    port: overWebSocket ? webSocketPort : port,
    localAddress: `127.1.${Math.floor(address / 250)}.${1 + (address % 250)}`,
  });
  let counted = false;
  tcp.on("error", () => undefined);
  tcp.on("connect", () => {
    counted = true;
    open += 1;
    begin(tcp, index % 20, overWebSocket);
  });
  tcp.on("close", () => {
    if (counted) open -= 1;
    dripping.delete(tcp);
    setTimeout(() => attack(index), Math.random() * reopenWithinMs);
  });
}

/** A third is silent, one in twenty finishes the handshake and drips its first frame, the others drip a TLS record. */
function begin(tcp: Socket, kind: number, overWebSocket: boolean): void {
  if (kind === 0) {
    const socket = connectTls({ socket: tcp, servername: serverName, rejectUnauthorized: false });
    socket.on("error", () => undefined);
    socket.on("secureConnect", () => {
      // The beginning of a request for the upgrade, or of a HELLO of 200 bytes.
      socket.write(overWebSocket ? "GET / HTTP/1.1\r\nX: " : Uint8Array.of(200, 0));
      dripping.set(socket, Uint8Array.of(0x78));
    });
    socket.on("close", () => dripping.delete(socket));
  } else if (kind > 6) {
    tcp.write(recordHead);
    dripping.set(tcp, Uint8Array.of(0));
  }
  // Whoever is cut off is told so only if it reads.
  tcp.resume();
}

import { expect, it } from "vitest";
import { HandshakeTable } from "./handshake-table.ts";

const ends = (remoteAddress: string, remotePort: number, localAddress = "10.0.0.1") => ({
  socket: { remoteAddress, remotePort, localAddress },
});
const one = ends("192.0.2.1", 1_000);
const otherPort = ends("192.0.2.1", 1_001);
const otherMachine = ends("192.0.2.2", 1_000);
const otherAddressOfOurs = ends("192.0.2.1", 1_000, "10.0.0.2");

it("finds a handshake by the ends of its connection", () => {
  const all = [one, otherPort, otherMachine, otherAddressOfOurs];
  const table = new HandshakeTable();
  for (const handshake of all) table.add(handshake);
  for (const handshake of all) expect(table.find({ ...handshake.socket })).toBe(handshake);
});

it("does not take another machine's with the same port for it", () => {
  const table = new HandshakeTable();
  table.add(one);
  expect(table.find(otherMachine.socket)).toBe(undefined);
  expect(table.find(otherPort.socket)).toBe(undefined);
});

it("finds none that is over, and leaves the others", () => {
  const table = new HandshakeTable();
  for (const handshake of [one, otherMachine, otherPort]) table.add(handshake);
  table.delete(one);
  table.delete(one);
  table.delete(otherPort);
  expect(table.find(one.socket)).toBe(undefined);
  expect(table.find(otherPort.socket)).toBe(undefined);
  expect(table.find(otherMachine.socket)).toBe(otherMachine);
  table.add(one);
  expect(table.find(one.socket)).toBe(one);
});

it("does not look at an address of ours, for which the system has to be asked, where the rest tells", () => {
  const asked: string[] = [];
  const silent = (name: string) => ({
    remoteAddress: "192.0.2.1",
    remotePort: 1_000,
    get localAddress(): string {
      asked.push(name);
      return "10.0.0.1";
    },
  });
  const handshake = { socket: silent("tcp") };
  const table = new HandshakeTable();
  table.add(handshake);
  expect(table.find(silent("tls"))).toBe(handshake);
  expect(asked).toEqual([]);
});

import { expect, it } from "vitest";
import { blockedPorts, parseMasterPort } from "./master-port.ts";

it.each([...blockedPorts])("refuses port %i, at which nobody is called", async (port) => {
  expect(() => parseMasterPort(String(port))).toThrow(`--port ${port} cannot be: browsers and fetch call nobody`);
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ cause: { message: "bad port" } });
});

it.each(["0", "6256", "6300", "65535"])("takes port %s", (port) => {
  expect(parseMasterPort(port)).toBe(Number(port));
});

import { describe, expect, it } from "vitest";
import { testSettings } from "../testing/test-cluster.ts";
import { describeAddress, describeCluster } from "./self-description.ts";

const tls = { serverName: "c.sustenet.test", caPem: "PEM", sha256: "ab" };
const address = { port: 1, advertisedHost: "play.example.com", advertisedPort: 6257, webSocketPort: undefined };

describe("what a cluster says of itself", () => {
  it("leaves out what it has nothing to say of: an earlier master refuses what it does not know", () => {
    const said = describeCluster(testSettings(), address, { tls, counters: {}, world: undefined });
    const silent = ["world", "wssUrl", "gameBuild", "joinRatePerSecond", "ticketLifetimeSeconds"];
    for (const name of silent) expect(Object.keys(said)).not.toContain(name);
    const world = { fragments: [] };
    const rates = { joinRatePerSecond: 2, ticketLifetimeSeconds: 20 };
    const settings = testSettings({ ...rates, gameBuild: "1.4", labels: ["mode=ctf", "a=b=c"] });
    expect(describeCluster(settings, address, { tls, counters: { wins: 3 }, world })).toMatchObject({
      ...rates,
      gameBuild: "1.4",
      labels: { mode: "ctf", a: "b=c" },
      counters: { wins: 3 },
      world,
    });
  });

  it("has an address for WebSocket where there is a port for it: as set, or made of the host", () => {
    const open = { ...address, webSocketPort: 8_443 };
    expect(describeAddress(testSettings({ wsUrl: "wss://play.example.com/ws" }), address, tls).wssUrl).toBeUndefined();
    expect(describeAddress(testSettings(), open, tls).wssUrl).toBe("wss://play.example.com:8443");
    expect(describeAddress(testSettings({ wsUrl: "wss://play.example.com/ws" }), open, tls).wssUrl).toBe(
      "wss://play.example.com/ws",
    );
    const six = { ...open, advertisedHost: "2001:db8::1" };
    expect(describeAddress(testSettings(), six, tls).wssUrl).toBe("wss://[2001:db8::1]:8443");
  });
});

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError } from "./config-error.ts";
import { type ClusterSettings, loadSettings } from "./settings.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sustenet-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = (): string => join(folder, "Config.toml");

function load(toml: string, environment: Record<string, string> = {}): ClusterSettings {
  writeFileSync(file(), toml);
  return loadSettings({ file: file(), fileMustExist: true, environment }).settings;
}

/** The problems, without the folder. */
function problems(toml: string, environment: Record<string, string> = {}): readonly string[] {
  try {
    load(toml, environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((line) => line.replaceAll(`${folder}/`, ""));
    throw error;
  }
  return [];
}

const master = '[cluster]\nmaster_url = "http://127.0.0.1:6256"\n';

describe("Config.toml", () => {
  it("takes the original's example as it stands", () => {
    const settings = load(`
[all]
server_name = "Default Cluster Server"
max_connections = 0
port = 0
[cluster]
key_name = "cluster_key"
master_ip = "127.0.0.1"
master_port = 0
domain_pub_key = "https://site-cdn.playreia.com/game/pubkey.pub" # Currently does nothing.
`);
    expect(settings).toMatchObject({
      serverName: "Default Cluster Server",
      maxConnections: 0,
      port: 6257,
      masterUrl: "http://127.0.0.1:6256",
      keysDir: join(folder, "keys"),
      keyName: "cluster_key",
      instance: "main",
      tickHz: 30,
      host: undefined,
      advertisedHost: "127.0.0.1",
    });
  });

  it("reads every key", () => {
    expect(
      load(`[all]
server_name = "Größe"
max_connections = 100
port = 7000
[cluster]
key_name = "k"
keys_dir = "/etc/keys"
master_url = "https://master.example.com/"
instance = "a-1"
region = "eu-west"
host = "0.0.0.0"
advertised_host = "play.example.com"
advertised_port = 443
tags = ["pvp", "beta"]
join_rate_per_second = 2.5
labels = ["mode=ctf", "url/x=a=b"]
game_build = "1.4.2+9"
tick_hz = 60
max_frame_bytes = 1024
ping_interval_ms = 1000
idle_timeout_ms = 3000
max_speed = 7.5
max_unauthenticated = 10
max_unauthenticated_per_ip = 2
tls12 = false
tls_cert = "/etc/tls/cert.pem"
tls_key = "/etc/tls/key.pem"
ws_port = 6258
ws_url = "wss://play.example.com/ws"
ws_origins = ["https://play.example.com"]
proxy_protocol_from = ["10.0.0.0/8", "2001:db8::1"]
spawn = [1, 2.5, -3]
world = "main"
peer_port = 6300
peer_host = "10.0.0.7"
peer_advertised_host = "cluster-1.internal"
peer_advertised_port = 6301
instances = 1
drain_seconds = 60
watchdog_seconds = 5
ops_port = 9100
ops_host = "::1"
log_level = "debug"
resume_grace_ms = 5000
load_timeout_ms = 800
state_dir = "/var/lib/game"
max_messages_per_second = 50
max_bytes_per_second = 4096
[[fragment]]
name = "meadow"
min = [0, 0]
max = [9, 9]
`),
    ).toEqual({
      world: expect.anything(),
      serverName: "Größe",
      maxConnections: 100,
      port: 7000,
      keyName: "k",
      keysDir: "/etc/keys",
      masterUrl: "https://master.example.com",
      instance: "a-1",
      region: "eu-west",
      host: "0.0.0.0",
      advertisedHost: "play.example.com",
      advertisedPort: 443,
      tags: ["pvp", "beta"],
      joinRatePerSecond: 2.5,
      labels: ["mode=ctf", "url/x=a=b"],
      gameBuild: "1.4.2+9",
      tickHz: 60,
      maxFrameBytes: 1024,
      pingIntervalMs: 1000,
      idleTimeoutMs: 3000,
      maxSpeed: 7.5,
      maxUnauthenticated: 10,
      maxUnauthenticatedPerIp: 2,
      tls12: false,
      tlsCert: "/etc/tls/cert.pem",
      tlsKey: "/etc/tls/key.pem",
      wsPort: 6258,
      wsUrl: "wss://play.example.com/ws",
      wsOrigins: ["https://play.example.com"],
      proxyProtocolFrom: ["10.0.0.0/8", "2001:db8::1"],
      spawn: { x: 1, y: 2.5, z: -3 },
      worldName: "main",
      peerPort: 6300,
      peerHost: "10.0.0.7",
      peerAdvertisedHost: "cluster-1.internal",
      peerAdvertisedPort: 6301,
      instances: 1,
      drainSeconds: 60,
      watchdogSeconds: 5,
      opsPort: 9100,
      opsHost: "::1",
      logLevel: "debug",
      resumeGraceMs: 5000,
      loadTimeoutMs: 800,
      stateDir: "/var/lib/game",
      maxMessagesPerSecond: 50,
      maxBytesPerSecond: 4096,
    });
  });

  it.each(['["mode"]', '["=x"]', '["a b=x"]', '["a=1", "a=2"]', '{ mode = "ctf" }', "[1]"])(
    "takes no labels like %s",
    (text) => {
      expect(problems(`${master}\nlabels = ${text}\n`).join()).toContain("labels: expected a list of at most 16 texts");
    },
  );

  it('takes "free" for whichever port the system gives', () => {
    expect(load(`[all]\nport = "free"\n${master}`).port).toBe(0);
  });

  it("says the line, the key and what was expected, one line a problem, in order", () => {
    expect(
      problems(`[all]
port = 99999
max_conections = 5

[cluster]
master_url = "http://127.0.0.1"
tags = ["a",
  "b c"]
tick_hz = "a secret in the wrong place"
server_name = "x"
tls12 = 1
spawn = [0, nan, 0]
[masters]
x = 1
`),
    ).toEqual([
      'Config.toml:2: [all] port: expected a port from 0 to 65535 (0 is the default) or "free", got 99999',
      "Config.toml:3: [all] max_conections: unknown key; did you mean max_connections?",
      'Config.toml:7: [cluster] tags: expected a list of at most 16 words of 1 to 32 letters, digits, "_", "." and "-", got a list',
      "Config.toml:9: [cluster] tick_hz: expected a whole number from 1 to 128, got text with a space in it",
      "Config.toml:10: [cluster] server_name: expected under [all]",
      "Config.toml:11: [cluster] tls12: expected true or false, got 1",
      "Config.toml:12: [cluster] spawn: expected three numbers, as in [0.0, 0.0, 0.0], got a list",
      "Config.toml:13: [masters]: unknown section, expected [all] or [cluster]",
    ]);
  });

  it("says line and column where it is not TOML, and quotes nothing", () => {
    const [problem, ...others] = problems('[all]\nserver_name = "x\nport = 1');
    expect(problem).toMatch(/^Config\.toml:2:\d+: not TOML: [^\n]+$/);
    expect(problem).not.toContain("server_name");
    expect(others).toEqual([]);
  });

  it.each([
    ["a key", `${master}tick_hz = 30\ntick_hz = 60`, "4:1", "cluster.tick_hz is there already, in line 3"],
    ["a table", `[world]\n${master}[world]`, "4:2", "world is there already, in line 1"],
    [
      "a fragment that is not one of several",
      `${master}[[fragment]]\nname = "a"\n[fragment]`,
      "5:2",
      "fragment[0] is there already, in line 3",
    ],
    [
      "a key of the second fragment",
      `${master}[[fragment]]\nname = "a"\n[[fragment]]\nname = "b"\nname = "c"`,
      "7:1",
      "fragment[1].name is there already, in line 6",
    ],
    [
      "a table of what is a value",
      `${master}world = "main"\n[cluster.world]`,
      "4:2",
      "cluster.world is there already, in line 3",
    ],
  ])("says where %s is that is there twice", (_, toml, place, what) => {
    expect(problems(toml)).toEqual([`Config.toml:${place}: ${what}`]);
  });

  it("knows keys outside of their section", () => {
    expect(problems(`port = 1\nall = 5\n${master}`)).toEqual([
      "Config.toml:1: port: expected under [all]",
      "Config.toml:2: all: expected a section, [all]",
    ]);
  });

  it.each([
    ["tick_hz", "0", "1"],
    ["tick_hz", "129", "128"],
    ["tick_hz", "30.5", "30"],
    ["max_frame_bytes", "63", "64"],
    ["max_frame_bytes", "65536", "65535"],
    ["idle_timeout_ms", "65536", "65535"],
    ["ping_interval_ms", "99", "100"],
    ["max_speed", "-0.1", "0.1"],
    ["max_speed", "inf", "1e9"],
    ["max_unauthenticated", "0", "1"],
    ["advertised_port", "65536", "65535"],
    ["instance", '""', '"a"'],
    ["instance", `"${"a".repeat(65)}"`, `"${"a".repeat(64)}"`],
    ["region", '"EU"', '"eu"'],
    ["key_name", '"../key"', '"key"'],
    ["ws_port", "65536", "0"],
    ["ws_url", '"ws://play.example.com"', '"wss://play.example.com"'],
    ["ws_origins", '["https://play.example.com/"]', '["https://play.example.com"]'],
    ["peer_port", "65536", "65535"],
    ["peer_host", '"no host"', '"10.0.0.7"'],
    ["proxy_protocol_from", '["10.0.0.0/33"]', '["10.0.0.0/32"]'],
    ["proxy_protocol_from", '["::/129"]', '["::/128", "fe80::1"]'],
    ["proxy_protocol_from", '["proxy.example.com"]', "[]"],
  ])("refuses %s = %s, and takes %s", (key, bad, good) => {
    expect(problems(`${master}${key} = ${bad}`)).toHaveLength(1);
    expect(problems(`${master}${key} = ${good}`)).toEqual([]);
  });

  it("listens for WebSocket only where it is told to", () => {
    expect(load(master).wsPort).toBeUndefined();
    expect(load(`${master}ws_port = "free"`).wsPort).toBe(0);
  });

  it("wants tls_cert and tls_key together, and takes them from where the file is", () => {
    expect(problems(`${master}tls_cert = "c.pem"`)).toEqual([
      "Config.toml:1: [cluster] tls_key: missing, expected the key that belongs to tls_cert (Config.toml:3)",
    ]);
    expect(problems(`${master}tls_key = "k.pem"`)).toHaveLength(1);
    expect(load(`${master}tls_cert = "c.pem"\ntls_key = "k.pem"`)).toMatchObject({
      tlsCert: join(folder, "c.pem"),
      tlsKey: join(folder, "k.pem"),
    });
  });

  it("wants idle_timeout_ms above ping_interval_ms", () => {
    expect(problems(`${master}ping_interval_ms = 2000\nidle_timeout_ms = 2000`)).toEqual([
      "Config.toml:4: [cluster] idle_timeout_ms: expected more than 2000 of ping_interval_ms (Config.toml:3), got 2000",
    ]);
    expect(problems(`${master}idle_timeout_ms = 5000`)).toEqual([
      "Config.toml:3: [cluster] idle_timeout_ms: expected more than 5000 of ping_interval_ms (the default), got 5000",
    ]);
  });

  it("reports a file that was named and is not there, but can do without the default one", () => {
    const environment = { SUSTENET_CLUSTER_MASTER_URL: "http://localhost:1" };
    expect(() => loadSettings({ file: file(), fileMustExist: true, environment })).toThrow(/cannot be read \(ENOENT\)/);
    const { settings } = loadSettings({ file: file(), fileMustExist: false, environment });
    expect(settings).toMatchObject({ masterUrl: "http://localhost:1", serverName: "Cluster" });
  });

  it("says that there is no file, rather than that something is missing in it", () => {
    const name = "no-such-Config.toml";
    const message = `${name} (there is none in ${process.cwd()}): [cluster] master_url: missing`;
    expect(() => loadSettings({ file: name, fileMustExist: false, environment: {} })).toThrow(message);
  });

  it("remarks that domain_pub_key is not used", () => {
    writeFileSync(file(), `${master}domain_pub_key = "https://x"`);
    const { remarks } = loadSettings({ file: file(), fileMustExist: true, environment: {} });
    expect(remarks).toEqual([expect.stringContaining("domain_pub_key is not used")]);
  });
});

describe("the master's address", () => {
  it.each([
    ["https://master.example.com", "https://master.example.com"],
    ["https://master.example.com:8443/", "https://master.example.com:8443"],
    ["http://127.0.0.1:6256", "http://127.0.0.1:6256"],
    ["http://localhost", "http://localhost"],
    ["http://[::1]:6256", "http://[::1]:6256"],
  ])("[SEC-83] takes %s", (url, origin) => {
    expect(load(`[cluster]\nmaster_url = "${url}"\nadvertised_host = "h"`).masterUrl).toBe(origin);
  });

  it.each([
    ["http://master.example.com", "plain http is for a master on this machine only"],
    ["http://10.0.0.1", "plain http"],
    ["http://127.0.0.1.example.com", "plain http"],
    ["https://user:pass@master.example.com", "without user name and password"],
    ["https://master.example.com/v1", "without a path"],
    ["ftp://master.example.com", "https://"],
    ["master.example.com:6256", "https://"],
    ["master", "an address like"],
  ])("[SEC-83] refuses %s", (url, reason) => {
    expect(problems(`[cluster]\nmaster_url = "${url}"\nadvertised_host = "h"`)).toEqual([
      expect.stringContaining(reason),
    ]);
  });

  it.each([
    ["127.0.0.1", "0", "http://127.0.0.1:6256"],
    ["::1", "7000", "http://[::1]:7000"],
    ["10.1.2.3", "0", "https://10.1.2.3:6256"],
    ["master.example.com", "443", "https://master.example.com"],
  ])("makes of master_ip %s and port %s %s", (ip, port, url) => {
    const toml = `[cluster]\nmaster_ip = "${ip}"\nmaster_port = ${port}\nadvertised_host = "h"`;
    expect(load(toml).masterUrl).toBe(url);
  });

  it("is needed, and once", () => {
    expect(problems("[all]\nport = 1\n[cluster]\n")).toEqual([
      "Config.toml:3: [cluster] master_url: missing, expected the master's address, as https://master.example.com",
    ]);
    expect(problems(`${master}master_ip = "127.0.0.1"`)).toEqual([
      "Config.toml:3: [cluster] master_ip: expected only one of master_ip and master_url (Config.toml:2)",
    ]);
  });

  it("elsewhere makes advertised_host needed, unless host says it", () => {
    const away = '[cluster]\nmaster_url = "https://master.example.com"\n';
    expect(problems(away)).toEqual([
      "Config.toml:1: [cluster] advertised_host: missing, expected the address at which players reach this cluster",
    ]);
    expect(load(`${away}host = "192.0.2.1"`).advertisedHost).toBe("192.0.2.1");
    expect(load(`${away}host = "0.0.0.0"\nadvertised_host = "play.example.com"`).advertisedHost).toBe(
      "play.example.com",
    );
  });
});

describe("the environment", () => {
  it("goes before the file", () => {
    const settings = load(`[all]\nport = 1\n${master}tick_hz = 10`, {
      SUSTENET_ALL_PORT: "free",
      SUSTENET_CLUSTER_TICK_HZ: "20",
      SUSTENET_CLUSTER_TAGS: "a, b",
      SUSTENET_CLUSTER_TLS12: "false",
      SUSTENET_CLUSTER_SPAWN: "1,2,3",
      SUSTENET_CLUSTER_REGION: "",
    });
    expect(settings).toMatchObject({
      port: 0,
      tickHz: 20,
      tags: ["a", "b"],
      tls12: false,
      spawn: { x: 1, y: 2, z: 3 },
      region: "default",
    });
  });

  it("names the master anew, whichever way the file did", () => {
    const environment = { SUSTENET_CLUSTER_MASTER_URL: "http://127.0.0.1:2" };
    expect(load('[cluster]\nmaster_ip = "127.0.0.1"\nmaster_port = 1', environment).masterUrl).toBe(
      "http://127.0.0.1:2",
    );
    expect(load(master, { SUSTENET_CLUSTER_MASTER_IP: "127.0.0.3" }).masterUrl).toBe("http://127.0.0.3:6256");
  });

  it("is named where it is wrong", () => {
    expect(problems(master, { SUSTENET_CLUSTER_TICK_HZ: "fast", SUSTENET_ALL_PORT: "70000" })).toEqual([
      'SUSTENET_ALL_PORT: [all] port: expected a port from 0 to 65535 (0 is the default) or "free", got 70000',
      "SUSTENET_CLUSTER_TICK_HZ: [cluster] tick_hz: expected a whole number from 1 to 128",
    ]);
  });

  it("may hold strange variables, which are remarked on only: Kubernetes sets some", () => {
    writeFileSync(file(), master);
    const environment = {
      SUSTENET_CLUSTER_TICKHZ: "1",
      SUSTENET_CLUSTER_SERVICE_HOST: "10.0.0.1",
      SUSTENET_LOG_LEVEL: "warn",
    };
    const { remarks } = loadSettings({ file: file(), fileMustExist: true, environment });
    expect(remarks).toEqual([
      "SUSTENET_CLUSTER_TICKHZ is not a setting; did you mean SUSTENET_CLUSTER_TICK_HZ?",
      expect.stringContaining("SUSTENET_CLUSTER_SERVICE_HOST is not a setting"),
    ]);
  });
});

describe("a world that is shared", () => {
  const meadow = '[[fragment]]\nname = "meadow"\nmin = [0, 0]\nmax = [9, 9]\n';

  it("is reached by its peers where players reach it, unless it is said otherwise", () => {
    const reached = (lines: string) => {
      const { peerHost, peerPort, peerAdvertisedHost } = load(`${master}world = "main"\n${lines}\n${meadow}`);
      return [peerHost, peerPort, peerAdvertisedHost];
    };
    expect(reached("")).toEqual([undefined, 0, "127.0.0.1"]);
    expect(reached('host = "127.0.0.2"')).toEqual(["127.0.0.2", 0, "127.0.0.2"]);
    expect(reached('advertised_host = "play.example.com"')).toEqual([undefined, 0, "play.example.com"]);
    expect(reached('advertised_host = "play.example.com"\npeer_host = "10.0.0.7"')).toEqual([
      "10.0.0.7",
      0,
      "10.0.0.7",
    ]);
    expect(reached('advertised_host = "play.example.com"\npeer_host = "::"')).toEqual(["::", 0, "play.example.com"]);
  });

  it("has a name of the form that the master takes", () => {
    expect(problems(`${master}world = "a world"\n${meadow}`)).toEqual([
      'Config.toml:3: [cluster] world: expected 1 to 64 letters, digits, "_", "." and "-", got text with a space in it',
    ]);
    expect(problems(`${master}world = "${"w".repeat(65)}"\n${meadow}`)).toEqual([
      'Config.toml:3: [cluster] world: expected 1 to 64 letters, digits, "_", "." and "-", got text of 65 characters',
    ]);
  });

  it("has fragments, not too many on one cluster", () => {
    const grid = (columns: number) =>
      `[world.grid]\nname = "g"\norigin = [0, 0]\nsize = [1, 1]\nrows = 1\ncolumns = ${columns}`;
    expect(problems(`${master}world = "main"\n`)).toEqual([
      "Config.toml:3: [cluster] world: expected fragments to share: [[fragment]] or [world.grid], the same at all clusters",
    ]);
    expect(problems(`${master}world = "main"\n${grid(256)}`)).toEqual([]);
    expect(problems(`${master}world = "main"\n${grid(257)}`)).toEqual([
      "Config.toml:3: [cluster] world: expected at most 256 fragments on one cluster, got 257: say in [world] carries which are this cluster's",
    ]);
  });

  it("is carried by one process for each file", () => {
    const lines = (instances: number): string => `${master}world = "main"\ninstances = ${instances}\n${meadow}`;
    expect(problems(lines(1))).toEqual([]);
    expect(problems(lines(2))).toEqual([
      "Config.toml:4: [cluster] instances: expected at most 1 with world (Config.toml:3), got 2: they would share this file, and with it what they carry",
    ]);
  });

  it("keeps players whose connection is lost: without that nobody goes from cluster to cluster", () => {
    const lines = (graceMs: number): string => `${master}world = "main"\nresume_grace_ms = ${graceMs}\n${meadow}`;
    expect(problems(lines(1))).toEqual([]);
    expect(problems(lines(0))).toEqual([
      "Config.toml:4: [cluster] resume_grace_ms: expected at least 1 with world (Config.toml:3), got 0: without resuming no player can go from cluster to cluster",
    ]);
    expect(problems(`${master}resume_grace_ms = 0\n${meadow}`)).toEqual([]);
  });

  it("needs a port of its own for the peers", () => {
    expect(problems(`[all]\nport = 7000\n${master}world = "main"\npeer_port = 7000\n${meadow}`)).toEqual([
      "Config.toml:6: [cluster] peer_port: expected another port than port (Config.toml:2), got 7000",
    ]);
    const environment = { SUSTENET_ALL_PORT: "7000" };
    expect(problems(`${master}world = "main"\npeer_port = 7000\n${meadow}`, environment)).toEqual([
      "Config.toml:4: [cluster] peer_port: expected another port than port (SUSTENET_ALL_PORT), got 7000",
    ]);
  });

  it("is missed where only its settings are given", () => {
    writeFileSync(file(), `${master}peer_port = 6300\n`);
    const { remarks } = loadSettings({ file: file(), fileMustExist: true, environment: {} });
    expect(remarks).toEqual(["[cluster] peer_port is not used: without [cluster] world this cluster has no peers"]);
  });
});

describe("instances", () => {
  it('may be one on each core: "cores"', () => {
    expect(load(`${master}instances = "cores"`).instances).toBe(availableParallelism());
  });

  it("need room for all ports in a row", () => {
    const lines = (port: number, opsPort: number): readonly string[] =>
      problems(`[all]\nport = ${port}\n${master}instances = 4\nops_port = ${opsPort}`);
    expect(lines(65_532, 9_100)).toEqual([]);
    expect(lines(65_533, 9_100)).toEqual([
      "Config.toml:2: [all] port: expected room for 4 instances below 65536, got 65533",
    ]);
    expect(lines(7_000, 7_004)).toEqual([]);
    expect(lines(7_000, 7_003)).toEqual([
      "Config.toml:6: [cluster] ops_port: expected another port than those of the 4 instances (Config.toml:5) from 7000 of port (Config.toml:2) on, got 7003",
    ]);
  });

  it("cannot share one ws_url", () => {
    const lines = (instances: number): string => `${master}instances = ${instances}\nws_url = "wss://play.example.com"`;
    expect(problems(lines(1))).toEqual([]);
    expect(problems(lines(2))).toEqual([
      expect.stringContaining("ws_url: expected none with 2 instances (Config.toml:3)"),
    ]);
  });

  it("need room for their number behind the name", () => {
    const named = (length: number): readonly string[] =>
      problems(`${master}instances = 10\ninstance = "${"a".repeat(length)}"`);
    expect(named(61)).toEqual([]);
    expect(named(62)).toHaveLength(1);
  });

  it.each([
    ["instances", "257", "256"],
    ["instances", '"core"', '"cores"'],
    ["ops_port", "0", '"free"'],
    ["drain_seconds", "86401", "86400"],
    ["watchdog_seconds", "-1", "0"],
    ["log_level", '"loud"', '"silent"'],
  ])("refuses %s = %s, and takes %s", (key, bad, good) => {
    expect(problems(`${master}${key} = ${bad}`)).toHaveLength(1);
    expect(problems(`${master}${key} = ${good}`)).toEqual([]);
  });
});

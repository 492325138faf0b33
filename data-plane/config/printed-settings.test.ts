import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "smol-toml";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { printSettings } from "./printed-settings.ts";
import { type LoadedSettings, loadSettings } from "./settings.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sustenet-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function load(toml: string): LoadedSettings {
  const file = join(folder, "Config.toml");
  writeFileSync(file, toml);
  return loadSettings({ file, fileMustExist: true, environment: {} });
}

/** What is printed, without the folder. */
const printed = (toml: string): string => printSettings(load(toml)).replaceAll(`${folder}/`, "");

describe("printed settings", () => {
  it("give the same settings when they are read again, whatever was set", () => {
    const loaded = load(`[all]
server_name = "Größe \\"quoted\\" \\\\ back"
port = "free"
[cluster]
master_ip = "10.0.0.1"
master_port = 9000
advertised_host = "play.example.com"
host = "::"
tags = ["a", "b"]
labels = ["mode=ctf"]
spawn = [1, 2.5, -3e9]
max_speed = 1e9
tls_cert = "cert.pem"
tls_key = "key.pem"
ws_port = "free"
ops_port = "free"
peer_host = "10.0.0.7"
domain_pub_key = "https://example.com/key"
`);
    expect(load(printSettings(loaded)).settings).toEqual(loaded.settings);
  });

  it("say what has become of values that are no settings of their own", () => {
    const text = printed('[cluster]\nmaster_ip = "127.0.0.1"\ndomain_pub_key = "x"\nws_port = 0\n');
    expect(text).toContain("# master_ip is part of master_url (Config.toml:2)\n# master_port is not set\n");
    expect(text).toContain("# domain_pub_key is not used (Config.toml:3)\n");
    expect(text).toContain("# ws_port is not used (Config.toml:4)\n");
  });

  it("have the world's fragments as the file has them", () => {
    const world =
      '[world]\nswap_margin = 3\n[[fragment]]\nname = "a"\nmin = [0, 0]\nmax = [9, 9]\n[[fragment.threshold]]\nplayers = 5\nupdate_hz = 5\n';
    const loaded = load(`[cluster]\nmaster_url = "http://127.0.0.1:1"\n${world}`);
    const again = load(printSettings(loaded));
    expect(again.settings.world?.fragments).toEqual(loaded.settings.world?.fragments);
    expect(again.settings.world?.rules).toMatchObject({ swapMargin: 3 });
  });

  it("say where a value comes from that nobody gave", () => {
    const master = '[cluster]\nmaster_url = "http://127.0.0.1:1"\n';
    expect(printed(master)).toContain('advertised_host = "127.0.0.1"  # default\n');
    expect(printed(`${master}host = "127.0.0.2"`)).toContain('advertised_host = "127.0.0.2"  # from host\n');
    expect(parse(printed(master))).toMatchObject({ all: { port: 6257 }, cluster: { tick_hz: 30 } });
  });
});

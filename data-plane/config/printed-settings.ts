import { stringify } from "smol-toml";
import type { ClusterSettings, LoadedSettings } from "./settings.ts";
import { settingTable } from "./setting-table.ts";
import type { WorldTables } from "./world-settings.ts";

/**
 * The settings as a Config.toml that would give the same, each with where its value came from: a place in the file, a
 * variable, a flag, `default`, or what it was derived from.
 */
export function printSettings({ settings, given, world }: LoadedSettings): string {
  const effective = new Map<string, unknown>(Object.entries(settings));
  const lines: string[] = [];
  let section = "";
  for (const [name, row] of Object.entries(settingTable)) {
    if (row.section !== section) {
      section = row.section;
      lines.push(...(lines.length === 0 ? [] : [""]), `[${section}]`);
    }
    const value = effective.get(name);
    const place = given.get(`${row.section}.${row.key}`)?.place;
    if (value !== undefined) lines.push(`${row.key} = ${toToml(name, value)}  # ${place ?? originOf(name, settings)}`);
    else lines.push(`# ${row.key} is ${place === undefined ? "not set" : `${unusedAs(name)} (${place})`}`);
  }
  if (settings.world !== undefined && world !== undefined) lines.push("", `# ${world.file}`, stringify(written(world)));
  return `${lines.join("\n")}\n`;
}

/** The tables of the world that the file has. */
function written({ tables }: WorldTables): Record<string, unknown> {
  return Object.fromEntries(Object.entries(tables).filter(([, table]) => table !== undefined));
}

/** Where a value came from that nobody gave. */
function originOf(name: string, { host, peerHost, peerAdvertisedHost }: ClusterSettings): string {
  if (name === "masterUrl") return "from master_ip and master_port";
  if (name === "advertisedHost" && host !== undefined) return "from host";
  if (name === "peerHost") return "from host";
  if (name === "peerAdvertisedHost") return peerAdvertisedHost === peerHost ? "from peer_host" : "from advertised_host";
  return "default";
}

/** What becomes of a value that is given and has no setting of its own. */
function unusedAs(name: string): string {
  return name === "masterIp" || name === "masterPort" ? "part of master_url" : "not used";
}

function toToml(name: string, value: unknown): string {
  if ((name === "port" || name === "opsPort" || name === "wsPort") && value === 0) return '"free"';
  if (typeof value === "object" && value !== null && "x" in value && "y" in value && "z" in value) {
    return JSON.stringify([value.x, value.y, value.z]);
  }
  // Text, numbers, booleans and lists of text are written alike in JSON and TOML.
  return JSON.stringify(value);
}

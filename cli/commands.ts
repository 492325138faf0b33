import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { clusterKeyId, type ClusterPublicKey, parseClusterPublicKey } from "../auth/cluster-assertion.ts";
import { enrolClusterKey, listClusterKeys, revokeClusterKey } from "../control-plane/store/cluster-keys.ts";
import { migrate } from "../control-plane/store/migrate.ts";
import { createClusterKey } from "../data-plane/index.ts";
import { choosesMaster } from "./admin/arguments.ts";
import { createAuditCommand } from "./admin/audit-commands.ts";
import { clusterCommands } from "./admin/cluster-commands.ts";
import { eventCommands } from "./admin/event-commands.ts";
import { historyCommands } from "./admin/history-commands.ts";
import { enrolKey, listKeys, revokeKey, rotateKey } from "./admin/key-commands.ts";
import { playerCommands } from "./admin/player-commands.ts";
import { signingKeyCommands } from "./admin/signing-key-commands.ts";
import { formatTime } from "./admin/table.ts";
import { worldCommands } from "./admin/world-commands.ts";
import type { Command } from "./command.ts";
import { parseTyped } from "./typed-options.ts";
import { UsageError } from "./usage-error.ts";

/** Flags of every command that needs the master's database. Node takes `--env-file` for its own, wherever it stands. */
const databaseFlags = { database: "" };

/** Every command of `sustenet`, by name. */
export const commands: Readonly<Record<string, Command>> = {
  keygen: {
    usage: "keygen [--name cluster_key] [--dir keys]",
    does: "makes a cluster's Ed25519 key pair and prints its key id",
    run: async (args) => {
      const { name, dir } = parse(args, { name: "cluster_key", dir: "keys" });
      const { publicKey, publicKeyFile } = await createClusterKey(dir, name);
      console.log(`key id ${await clusterKeyId(publicKey)}\npublic key ${publicKeyFile}`);
      console.log(`enrol it at the master: npx sustenet enrol --public-key ${publicKeyFile} --name NAME`);
      console.log("(at a local master add --database with the path of master.env that it printed)");
    },
  },
  enrol: {
    usage: "enrol --public-key FILE --name NAME [--database FILE | --master URL --token-file FILE]",
    does: "lets clusters with this key register at the master",
    run: async (args) => {
      if (choosesMaster(args)) return enrolKey(args, readPublicKeyOf("enrol"));
      const values = parse(args, { "public-key": "", name: "", ...databaseFlags });
      if (values["public-key"] === "" || values.name === "")
        throw new UsageError("enrol needs --public-key and --name");
      const publicKey = readPublicKey(values["public-key"]);
      const keyId = await enrolClusterKey(database(values), { name: values.name, publicKey });
      console.log(`enrolled ${keyId} as ${values.name}`);
    },
  },
  revoke: {
    usage: "revoke --key-id ID [--database FILE | --master URL --token-file FILE]",
    does: "withdraws a cluster key; at a master, it cuts off what runs with it as well",
    run: async (args) => {
      if (choosesMaster(args)) return revokeKey(args);
      const values = parse(args, { "key-id": "", ...databaseFlags });
      if (values["key-id"] === "") throw new UsageError("revoke needs --key-id");
      const revoked = await revokeClusterKey(database(values), values["key-id"]);
      if (!revoked) throw new UsageError(`no key ${values["key-id"]} is enrolled: npx sustenet keys lists them`);
      console.log(`revoked ${values["key-id"]}`);
    },
  },
  keys: {
    usage: "keys [--database FILE | --master URL --token-file FILE]",
    does: "lists the enrolled cluster keys",
    run: async (args) => {
      if (choosesMaster(args)) return listKeys(args);
      const values = parse(args, databaseFlags);
      for (const key of await listClusterKeys(database(values))) {
        const state = key.revokedAtMs === undefined ? "enrolled" : `revoked ${formatTime(key.revokedAtMs)}`;
        console.log(`${key.keyId}  ${key.name}  ${state}`);
      }
    },
  },
  rotate: {
    usage: "rotate --key-id OLD --public-key FILE [--overlap SECONDS] --master URL --token-file FILE",
    does: "puts another key in the place of one, which ends after an overlap, of 86400 s unless --overlap says otherwise",
    run: async (args) => rotateKey(args, readPublicKeyOf("rotate")),
  },
  ...clusterCommands,
  ...eventCommands,
  ...playerCommands,
  ...worldCommands,
  ...signingKeyCommands,
  ...historyCommands,
  audit: createAuditCommand((file) => database({ database: file })),
  migrate: {
    usage: "migrate [--database FILE]",
    does: "brings the database at TURSO_DATABASE_URL up to date",
    run: async (args) => {
      await migrate(database(parse(args, databaseFlags)));
      console.log("the database is up to date");
    },
  },
};

export const commandNames: readonly string[] = Object.keys(commands);

/** All commands with what they do. */
export function helpText(): string {
  const lines = Object.values(commands).map(({ usage, does }) => `  ${usage}\n      ${does}`);
  return `sustenet COMMAND\n\n${lines.join("\n")}\n\nTURSO_DATABASE_URL and TURSO_AUTH_TOKEN, in the environment or in the file of --database, name the master's database.\nSUSTENET_MASTER and SUSTENET_TOKEN, in the environment, stand for --master and what --token-file holds.`;
}

function parse<T extends Record<string, string>>(args: readonly string[], defaults: T): T {
  const options = Object.fromEntries(
    Object.entries(defaults).map(([flag, value]) => [flag, { type: "string" as const, default: value }]),
  );
  return Object.assign({}, defaults, parseTyped(args, options, false).values);
}

/** Where the master's database is: from the file that was named, or else from the environment. */
function database(flags: typeof databaseFlags): { url: string; authToken: string } {
  const file = flags["database"];
  const environment = file === "" ? process.env : readEnvironmentFile(file);
  const url = environment["TURSO_DATABASE_URL"];
  if (url === undefined || url === "") {
    throw new UsageError(
      file === ""
        ? "TURSO_DATABASE_URL is not set: set it and TURSO_AUTH_TOKEN, or name a file with both by --database (a local master prints which)"
        : `${file} has no TURSO_DATABASE_URL in it`,
    );
  }
  return { url, authToken: environment["TURSO_AUTH_TOKEN"] ?? "" };
}

function readEnvironmentFile(file: string): Readonly<Record<string, string | undefined>> {
  try {
    return parseEnv(readFileSync(file, "utf8"));
  } catch {
    throw new UsageError(`${file} cannot be read: a local master writes such a file, and removes it when it stops`);
  }
}

function readPublicKeyOf(command: string): (file: string | undefined) => ClusterPublicKey {
  return (file) => {
    if (file === undefined || file === "") throw new UsageError(`${command} needs --public-key`);
    return readPublicKey(file);
  };
}

function readPublicKey(file: string): ClusterPublicKey {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    throw new UsageError(`${file} cannot be read`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UsageError(`${file} is not a public key: it should be the .pub file that keygen wrote`);
  }
  const key = parseClusterPublicKey(value);
  if (key === undefined) throw new UsageError(`${file} is not an Ed25519 public key in JWK form`);
  return key;
}

import type { ClusterPublicKey } from "../../auth/cluster-assertion.ts";
import { UsageError } from "../usage-error.ts";
import { type AdminArguments, parseAdminArguments } from "./arguments.ts";
import { everyPage } from "./pages.ts";
import { formatTable, formatTime, show } from "./table.ts";

interface Key {
  readonly keyId: string;
  readonly name: string;
  readonly state: string;
  readonly createdAtMs: number;
  readonly retiresAtMs: number | null;
  readonly revokedAtMs: number | null;
}

type ReadKey = (file: string | undefined) => ClusterPublicKey;

const publicKeyOption = { "public-key": { type: "string" } } as const;

/** `keys`, at a master. */
export async function listKeys(args: readonly string[]): Promise<void> {
  const given = parseAdminArguments(args, {}, 0);
  const keys: Key[] = [];
  for await (const page of everyPage<{ keys: Key[]; next: string | null }>(given.api(), "/keys", { limit: "500" })) {
    keys.push(...page.keys);
  }
  show(given.json, keys, () =>
    keys.length === 0
      ? "no key is enrolled"
      : formatTable(
          ["KEY ID", "NAME", "STATE", "ENROLLED", "ENDS"],
          keys.map((key) => [
            key.keyId,
            key.name,
            key.state,
            formatTime(key.createdAtMs),
            formatTime(key.revokedAtMs ?? key.retiresAtMs),
          ]),
        ),
  );
}

/** `enrol`, at a master. */
export async function enrolKey(args: readonly string[], readKey: ReadKey): Promise<void> {
  const given = parseAdminArguments(args, { ...publicKeyOption, name: { type: "string" } }, 0);
  const name = needed("enrol", given, "name");
  const publicKey = readKey(given.text("public-key"));
  const key = await given.api().call<Key>("POST", "/keys", { name, publicKey });
  show(given.json, key, () => `enrolled ${key.keyId} as ${key.name}`);
}

/** `rotate`: there is none without a master. */
export async function rotateKey(args: readonly string[], readKey: ReadKey): Promise<void> {
  const options = { ...publicKeyOption, "key-id": { type: "string" }, overlap: { type: "string" } } as const;
  const given = parseAdminArguments(args, options, 0);
  const keyId = needed("rotate", given, "key-id");
  const publicKey = readKey(given.text("public-key"));
  const body = { publicKey, overlapSeconds: given.count("overlap") ?? 86_400 };
  const path = `/keys/${encodeURIComponent(keyId)}/rotate`;
  const { added, retired } = await given.api().call<{ added: Key; retired: Key }>("POST", path, body);
  show(
    given.json,
    { added, retired },
    () => `enrolled ${added.keyId} as ${added.name}\n${retired.keyId} ends ${formatTime(retired.retiresAtMs)}`,
  );
}

/** `revoke`, at a master. */
export async function revokeKey(args: readonly string[]): Promise<void> {
  const given = parseAdminArguments(args, { "key-id": { type: "string" } }, 0);
  const keyId = needed("revoke", given, "key-id");
  const answer = await given
    .api()
    .call<{ keyId: string; pendingShards: number | null }>("DELETE", `/keys/${encodeURIComponent(keyId)}`);
  show(given.json, answer, () =>
    answer.pendingShards === 0
      ? `revoked ${answer.keyId}: its processes are cut off`
      : `revoked ${answer.keyId}; ${answer.pendingShards ?? "the"} shards could not be told yet, and will be`,
  );
}

/** @throws UsageError without it */
function needed(command: string, given: AdminArguments, flag: string): string {
  const value = given.text(flag) ?? "";
  if (value === "") throw new UsageError(`${command} needs --${flag}`);
  return value;
}

import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { startLibsqlServer } from "./libsql/server.ts";
import { startSupabaseAuth } from "./supabase-auth/server.ts";

/** What the Worker needs to reach its services: the names of its secrets. */
export interface ServiceBindings extends Record<string, string> {
  readonly TURSO_DATABASE_URL: string;
  readonly TURSO_AUTH_TOKEN: string;
  readonly SUPABASE_URL: string;
  readonly SUPABASE_PUBLISHABLE_KEY: string;
  /** Empty where there is none. */
  readonly SUPABASE_SECRET_KEY: string;
  readonly KEY_ENCRYPTION_KEY: string;
}

export interface Services {
  readonly bindings: ServiceBindings;
  /** Whether accounts are in the local stand-in. */
  readonly hasLocalAccounts: boolean;
  /** One line a service: what it is and where. */
  readonly descriptions: readonly string[];
  close(): Promise<void>;
}

const secretsSchema = z.object({ keyEncryptionKey: z.string(), publishableKey: z.string(), databaseToken: z.string() });
type LocalSecrets = z.infer<typeof secretsSchema>;

/**
 * Starts the embedded database and the Supabase Auth stand-in, except where the environment names real ones:
 * `TURSO_DATABASE_URL` (with `TURSO_AUTH_TOKEN`), `SUPABASE_URL` (with `SUPABASE_PUBLISHABLE_KEY` and, for what needs it,
 * `SUPABASE_SECRET_KEY`).
 */
export async function startServices(stateDir: string, environment: NodeJS.ProcessEnv): Promise<Services> {
  const secrets = loadLocalSecrets(stateDir);
  const database = await startDatabase(stateDir, environment, secrets);
  const identity = await startIdentity(stateDir, environment, secrets);
  return {
    descriptions: [`database: ${database.description}`, `identity: ${identity.description}`],
    hasLocalAccounts: environment["SUPABASE_URL"] === undefined,
    bindings: {
      TURSO_DATABASE_URL: database.url,
      TURSO_AUTH_TOKEN: database.key,
      SUPABASE_URL: identity.url,
      SUPABASE_PUBLISHABLE_KEY: identity.key,
      SUPABASE_SECRET_KEY: identity.secretKey,
      KEY_ENCRYPTION_KEY: environment["KEY_ENCRYPTION_KEY"] ?? secrets.keyEncryptionKey,
    },
    close: async () => {
      await Promise.all([database.close(), identity.close()]);
    },
  };
}

interface Service {
  readonly url: string;
  readonly key: string;
  readonly description: string;
  close(): Promise<void>;
}

const closeNothing = async (): Promise<void> => {};

async function startDatabase(
  stateDir: string,
  environment: NodeJS.ProcessEnv,
  secrets: LocalSecrets,
): Promise<Service> {
  const url = environment["TURSO_DATABASE_URL"];
  if (url !== undefined) {
    return { url, key: environment["TURSO_AUTH_TOKEN"] ?? "", description: url, close: closeNothing };
  }
  const key = secrets.databaseToken;
  const server = await startLibsqlServer({ file: join(stateDir, "turso.db"), authToken: key });
  const description = `embedded libSQL at ${server.url}`;
  return { url: server.url, key, description, close: () => server.close() };
}

async function startIdentity(
  stateDir: string,
  environment: NodeJS.ProcessEnv,
  secrets: LocalSecrets,
): Promise<Service & { readonly secretKey: string }> {
  const url = environment["SUPABASE_URL"];
  if (url !== undefined) {
    const key = environment["SUPABASE_PUBLISHABLE_KEY"];
    if (key === undefined) throw new Error("SUPABASE_URL is set, so SUPABASE_PUBLISHABLE_KEY is needed too");
    const secretKey = environment["SUPABASE_SECRET_KEY"] ?? "";
    return { url, key, secretKey, description: url, close: closeNothing };
  }
  const key = secrets.publishableKey;
  // Not among the secrets that are kept: a state folder from before there was one serves as well.
  const secretKey = `sb_secret_${createHash("sha256").update(`${secrets.databaseToken}.${key}`).digest("base64url")}`;
  const server = await startSupabaseAuth({ file: join(stateDir, "supabase-auth.db"), publishableKey: key, secretKey });
  const description = `local stand-in for Supabase Auth at ${server.url}`;
  return { url: server.url, key, secretKey, description, close: () => server.close() };
}

/**
 * Secrets of the local stack, made on first use and kept with its state.
 *
 * @throws Error that says in one line what is wrong with the file
 */
function loadLocalSecrets(stateDir: string): LocalSecrets {
  const file = join(stateDir, "secrets.json");
  if (existsSync(file)) {
    try {
      return secretsSchema.parse(JSON.parse(readFileSync(file, "utf8")));
    } catch (cause) {
      const reason =
        cause instanceof Error && "code" in cause ? String(cause.code) : "not what this program wrote there";
      throw new Error(
        `the state file ${file} cannot be used (${reason}): remove its folder, or name another with --state DIR`,
        {
          cause,
        },
      );
    }
  }
  const secrets: LocalSecrets = {
    keyEncryptionKey: randomBytes(32).toString("base64"),
    publishableKey: `sb_publishable_${randomBytes(16).toString("base64url")}`,
    databaseToken: randomBytes(32).toString("base64url"),
  };
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(file, JSON.stringify(secrets, null, 2), { mode: 0o600 });
  return secrets;
}
